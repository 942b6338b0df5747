"""Mesh of a person: SMPL's faces and UV layout, smooth shading."""
from __future__ import annotations

import bpy
import numpy as np


def new_mesh(name: str, vertices: np.ndarray, faces: np.ndarray, vt: np.ndarray, ft: np.ndarray) -> bpy.types.Mesh:
    """A mesh of triangles. vertices (V, 3) metres; faces, ft (F, 3) indices; vt (T, 2) UVs, origin bottom left.

    A mesh built from arrays is smooth-shaded, which also keeps exported morph targets small.
    """
    mesh = bpy.data.meshes.new(name)
    corners = np.ascontiguousarray(faces, np.int32)
    mesh.vertices.add(len(vertices))
    position: bpy.types.FloatVectorAttribute = mesh.attributes["position"]  # type: ignore[assignment]
    position.data.foreach_set("vector", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(corners.size)
    mesh.loops.foreach_set("vertex_index", corners.ravel())
    mesh.polygons.add(len(corners))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners.size, 3, dtype=np.int32))
    mesh.update(calc_edges=True)
    uv = mesh.uv_layers.new(name="UVMap")
    uv.uv.foreach_set("vector", np.ascontiguousarray(vt[ft], np.float32).ravel())
    return mesh
