"""Two independent readers of FBX files, ufbx and three.js, that say where every vertex is at a time."""
from __future__ import annotations

import json
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


def _read(program: list[str], path: Path, times: list[float]) -> tuple[dict, list[list[np.ndarray]]]:
    out = path.with_suffix(".positions")
    run = subprocess.run([*program, str(path), str(out), *map(str, times)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    facts = json.loads(run.stdout.splitlines()[-1])
    sizes = [3 * m["points"] for m in facts["meshes"]]
    flat = np.split(np.fromfile(out, np.float32), np.cumsum(sizes * len(times))[:-1]) if times else []
    return facts, [[flat[i * len(sizes) + m].reshape(-1, 3) for i in range(len(times))] for m in range(len(sizes))]
