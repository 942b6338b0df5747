"""All text that a user of the add-on can see, read from the sources: what the translations have to cover."""
from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "pose2mesh_blender"
UI = PACKAGE / "ui"
SHELL = {"core/batch.py", "core/bench.py", "core/doctor.py", "core/overlay.py", "core/results.py"}  # not in Blender
OTHERS = {"OSError", "ValueError", "TypeError", "IsADirectoryError", "ImportError", "RuntimeError"}  # never shown
CALLS = {"say": 0, "label": 0, "poll_message_set": 0}  # function -> which argument is text
KEYWORDS = {"text", "name", "description", "heading", "confirm_text"}
ATTRIBUTES = {"bl_label", "bl_description"}


@functools.cache
def texts() -> dict[str, set[str]]:
    """Text -> the files that show it."""
    found: dict[str, set[str]] = {}
    for path in sorted(UI.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for text in _texts(tree):
            if any(c.isalpha() for c in text.replace("{}", "")) and not text.endswith(".md"):
                found.setdefault(text, set()).add(path.relative_to(UI).as_posix())
    return found


@functools.cache
def errors() -> dict[str, set[str]]:
    """Texts of the errors that core and scene raise, values as {} -> the files that raise them."""
    found: dict[str, set[str]] = {}
    for path in sorted(p for ring in ("core", "scene", "ui") for p in (PACKAGE / ring).rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if name not in SHELL else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error") and \
                    node.func.id not in OTHERS:
                for argument in node.args:
                    if not _is_said(argument):
                        found.setdefault(_template(argument, path), set()).add(name)
    return found


def untold() -> list[str]:
    """Places in ui/ that show a text which cannot have been translated."""
    found = []
    for path in sorted(UI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
            here = f"{path.relative_to(UI)}:{getattr(node, 'lineno', 0)}"
            if not isinstance(node, ast.Call):
                continue
            if name == "str" and ast.unparse(node) == "str(error)" and path.name != "text.py":
                found.append(f"{here} use text.told(error)")
            if (name in ("report", "poll_message_set") and isinstance(node.args[-1], (ast.Constant, ast.BinOp))) or \
                    (name == "report" and isinstance(node.args[-1], ast.JoinedStr) and _letters(node.args[-1])):
                found.append(f"{here} use text.say")
            for keyword in node.keywords:
                if keyword.arg == "text" and isinstance(keyword.value, ast.JoinedStr) and _letters(keyword.value):
                    found.append(f"{here} use text.label")
    return found


def _letters(node: ast.JoinedStr) -> bool:
    return any(c.isalpha() for part in node.values if isinstance(part, ast.Constant) for c in part.value)


def _is_said(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say"


def _template(node: ast.AST, path: Path) -> str:
    """The text that an expression makes, with {} for what is not known before."""
    if _word(node):
        return _word(node)
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in node.values)
    if isinstance(node, ast.BinOp):
        return "".join(_template(n, path) if not isinstance(n, ast.Call) else "{}" for n in (node.left, node.right))
    assert isinstance(node, ast.Name), f"{path.name}:{node.lineno} an error's text is not readable"
    for line in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == node.id:
            return _template(line.value, path)
        if isinstance(line, ast.ImportFrom) and any(a.name == node.id for a in line.names):
            return _template(node, path.parents[line.level - 1] / f"{(line.module or '').replace('.', '/')}.py")
    raise AssertionError(f"{path.name}:{node.lineno} an error's text is not readable")


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
