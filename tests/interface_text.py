"""All text that a user of the add-on can see, read from the sources: what the translations have to cover."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

UI = Path(__file__).resolve().parent.parent / "pose2mesh_blender" / "ui"
CALLS = {"say": 0, "label": 0, "poll_message_set": 0}  # function -> which argument is text
KEYWORDS = {"text", "name", "description", "heading", "confirm_text"}
ATTRIBUTES = {"bl_label", "bl_description"}


def texts() -> dict[str, set[str]]:
    """Text -> the files that show it."""
    found: dict[str, set[str]] = {}
    for path in sorted(UI.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for text in _texts(tree):
            if any(c.isalpha() for c in text.replace("{}", "")) and not text.endswith(".md"):
                found.setdefault(text, set()).add(path.relative_to(UI).as_posix())
    return found


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node)
        elif isinstance(node, ast.Call):
            yield from _of_call(node)
        elif isinstance(node, ast.keyword) and node.arg == "items":
            yield from _of_items(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            if isinstance(node.value, ast.Dict) and node.targets[0].id in ("STAGES",):
                yield from filter(None, map(_word, node.value.values))
            else:
                yield from _of_items(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name == "help_lines":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Tuple):
                    yield from filter(None, map(_word, inner.value.elts))


def _of_items(node: ast.AST) -> Iterator[str]:
    """Names and descriptions of an enumeration's items."""
    for item in ast.walk(node):
        if isinstance(item, ast.Tuple) and len(item.elts) in (2, 3, 5) and _word(item.elts[1]) and \
                (len(item.elts) > 2 or _word(item.elts[1])[0].isupper()):
            yield from filter(None, map(_word, item.elts[1:3]))


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    bases = " ".join(ast.unparse(base) for base in node.bases)
    named = any(isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "bl_idname" for line in node.body)
    if named and "bpy.types.Operator" in bases and (doc := ast.get_docstring(node)):
        yield doc
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and \
                line.targets[0].id in ATTRIBUTES and _word(line.value):
            yield _word(line.value)


def _of_call(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in CALLS and node.args and _word(node.args[CALLS[name]]):
        yield _word(node.args[CALLS[name]])
    translated = not any(k.arg == "translate" for k in node.keywords)
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS and (translated or keyword.arg != "text"):
            yield from _words(keyword.value)


def _words(node: ast.AST) -> Iterator[str]:
    """A text, or both of `a if condition else b`."""
    if isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)
    elif _word(node):
        yield _word(node)


def _word(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
