"""Where a person's vertices are in the world, frame by frame, whatever the user did to keys, curves and parents."""
from __future__ import annotations

import bpy
import numpy as np

from . import compat, shape_keys

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # rows: from Blender's z-up to core's y-up; the front is +z
Z_UP = Y_UP.T


def world_points(ob: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    """(N, V, 3) float32 at scene frames (N,): metres, y up, the world's axes turned as core has them."""
    out = np.empty((len(frames), len(ob.data.vertices), 3), np.float32)
    places = (Y_UP @ world_matrices(ob, frames)[:, :3]).astype(np.float32)
    for row, (points, place) in enumerate(zip(shape_keys.shapes_at(ob, frames), places)):
        out[row] = points.reshape(-1, 3) @ place[:, :3].T + place[:, 3]
    return out


def world_matrices(ob: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    """(N, 4, 4) where the object is at scene frames (N,). Plays the scene only where parents and the like need it."""
    simple = ob.rotation_mode not in ("QUATERNION", "AXIS_ANGLE") and ob.animation_data and not (
        ob.parent or ob.constraints or ob.animation_data.nla_tracks or ob.animation_data.drivers)
    if not simple or any(c.data_path not in ("location", "hide_viewport", "hide_render") or c.modifiers
                         for c in compat.curves(ob)):
        return _played(ob, frames)
    out = np.tile(np.array(ob.matrix_basis), (len(frames), 1, 1))
    for axis in range(3):
        curve = compat.find_curve(ob, "location", axis)
        delta = ob.delta_location[axis]
        out[:, axis, 3] = delta + (compat.sample(curve, frames) if curve else ob.location[axis])
    return out


def _played(ob: bpy.types.Object, frames: np.ndarray) -> np.ndarray:
    scene = bpy.context.scene
    now, out = scene.frame_current_final, []
    try:
        for frame in frames:
            scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))
            out.append(np.array(ob.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world))
    finally:
        scene.frame_set(int(now), subframe=now - int(now))
    return np.array(out)

