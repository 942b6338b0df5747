"""The rings: ui -> scene -> core, training -> core, never back; checked on the source and on a bare interpreter."""
from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pose2mesh_blender"
MODULES = sorted(PACKAGE.rglob("*.py"))
BLENDER = {"bpy", "bmesh", "mathutils", "gpu", "gpu_extras", "bpy_extras", "addon_utils", "bl_ui", "imbuf", "blf"}
# Who may be imported by whom. __init__.py, and cli.py with job.py, are the two entry points and may start anything.
MAY_IMPORT = {
    "core": {"core"},
    "scene": {"core", "scene"},
    "ui": {"core", "scene", "ui"},
    "training": {"core", "training"},
}
# Drawing over footage is for the command line, which has OpenCV; nothing that runs in Blender imports these on loading.
DRAWING = {"overlay", "painter"}


def imports(tree: ast.AST, inside_function: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield (import statement, whether it is inside a function); blocks for type checkers only are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, inside_function
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            lazy = inside_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(node, lazy)


def outside_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Top-level names of the packages outside ours that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {node.module.split(".")[0]} if node.module and not node.level else set()


def inside_targets(path: Path, node: ast.Import | ast.ImportFrom) -> set[str]:
    """Dotted names, relative to the package, that a relative import refers to."""
    if isinstance(node, ast.Import) or not node.level:
        return set()
    here = path.relative_to(PACKAGE).parts[:-1]  # of a package's __init__ and of a module alike: its folder
    base = here[: len(here) - (node.level - 1)]
    assert node.level - 1 <= len(here), f"{path}: line {node.lineno} climbs out of the package"
    stem = ".".join((*base, *(node.module.split(".") if node.module else ())))
    return {f"{stem}.{alias.name}".lstrip(".") for alias in node.names}


def ring(dotted: str) -> str:
    return dotted.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    where = relative.parts[0] if len(relative.parts) > 1 else ""
    torch_engine = where == "core" and relative.parts[1] == "network" and relative.name.startswith("torch")
    for node, lazy in imports(ast.parse(path.read_text(encoding="utf-8"))):
        line = f"{relative}:{node.lineno}"
        outside = outside_names(node)
        assert "pose2mesh_blender" not in outside, f"{line}: imports inside the package are relative"
        for target in inside_targets(path, node):
            if where:
                assert ring(target) in MAY_IMPORT[where], f"{line}: {where} must not import {target}"
            if where == "core" and any(part.startswith("torch") for part in target.split(".")):
                assert lazy or torch_engine, f"{line}: the torch engine is imported lazily"
        if where == "core":
            assert not outside & BLENDER, f"{line}: core imports {outside & BLENDER}"
            reports_on_torch = lazy and (relative.parts[1] == "network" or relative.name == "doctor.py")
            assert "torch" not in outside or torch_engine or reports_on_torch, f"{line}: torch is for the torch engine"
        if where in {"core", "scene", "ui"} and not lazy and not torch_engine and relative.stem not in DRAWING:
            names = {target.split(".")[-2] for target in inside_targets(path, node) if "." in target}
            assert not names & DRAWING, f"{line}: import it in the function that needs it"
            absent = outside & {"torch", "cv2", "rich", "scipy"}
            assert not absent, f"{line}: {absent} is not in Blender; import it in the function that needs it"


def test_core_runs_on_what_blender_has() -> None:
    """All of core can be imported with numpy, onnxruntime and av alone: that is what the zip brings."""
    core = [p for p in MODULES if p.relative_to(PACKAGE).parts[0] == "core" and not p.name.startswith("torch")
            and p.stem not in DRAWING]
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in core]
    code = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(BLENDER | {"torch", "cv2", "scipy", "rich", "onnx", "safetensors"})!r}:
            raise ImportError(name + " is not in Blender")
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {str(ROOT)!r})
import importlib
for name in {names!r}:
    importlib.import_module(name)
print("imported", len({names!r}))
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("imported")


def test_modules_say_what_they_are() -> None:
    """Each module opens with a docstring; core's and training's say that they are free of Blender."""
    for path in MODULES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text or not path.read_text(encoding="utf-8").strip(), f"{path.relative_to(ROOT)} has no docstring"
        if path.relative_to(PACKAGE).parts[0] == "core" and text:
            assert "No `bpy`" in text, f"{path.relative_to(ROOT)}"
