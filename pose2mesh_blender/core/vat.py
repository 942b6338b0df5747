"""Vertex animation textures: a moving mesh as two pictures that a shader reads. No `bpy` module use.

Column i is vertex i, row n is frame n from the top; y up, metres. A still mesh carries, as its second UV set, the
column's middle and the height of the first row, so that a shader adds n / rows.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .errors import ExportError
from .exr import write_exr
from .files import write_file

LARGEST = 8192  # texels across that every engine takes


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals of vertices (V, 3), weighted by the areas of the faces (F, 3) around."""
    corners = points[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    out = np.stack([np.bincount(faces.ravel(), np.repeat(flat[:, axis], 3), len(points)) for axis in range(3)], 1)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def index_uv(vertices: int, rows: int) -> np.ndarray:
    """(V, 2) where vertex i finds its texel of frame 0: u in the column's middle, v in the row's, from the top."""
    return np.stack([(np.arange(vertices) + 0.5) / vertices, np.full(vertices, 0.5 / rows)], 1)


def write_vat(folder: Path, stem: str, points: np.ndarray, faces: np.ndarray, fps: float, mesh: str) -> list[Path]:
    """Writes STEM_positions.exr (float), STEM_normals.exr (half) and STEM_vat.json; returns their paths.

    points (N, V, 3) metres, y up; mesh: name of the file with the still mesh. Raises ExportError for more than 8192
    frames or vertices, TakeError when a file cannot be written.
    """
    rows, columns = points.shape[:2]
    if max(rows, columns) > LARGEST:
        raise ExportError(f"{stem}: {rows} frames of {columns} vertices do not fit into a texture of {LARGEST}.",
                          "Export a shorter range or a larger step.")
    normals = np.stack([vertex_normals(p, faces) for p in points])
    paths = [folder / f"{stem}_positions.exr", folder / f"{stem}_normals.exr", folder / f"{stem}_vat.json"]
    write_exr(paths[0], np.asarray(points, np.float32))
    write_exr(paths[1], normals.astype(np.float16))
    about = {"schema": 1, "mesh": mesh, "positions": paths[0].name, "normals": paths[1].name, "frames": rows,
             "vertices": columns, "fps": fps, "axes": "right-handed, y up, front +z", "unit": "metre",
             "row": "one frame; row 0 is the picture's top", "column": "one vertex; the second UV set's u",
             "bounds": [points.min((0, 1)).tolist(), points.max((0, 1)).tolist()]}
    write_file(paths[2], json.dumps(about, indent=1).encode())
    return paths
