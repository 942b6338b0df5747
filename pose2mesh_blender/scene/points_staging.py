"""A temporary scene with copies of persons whose shape keys are made anew from where their vertices are."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

from ..core.pca import Pca, compact
from ..core.presets import ExportOptions
from . import compat, rig, takes
from .sampling import Z_UP, world_matrices, world_points
from .staging import frame_range
from .temporary import call, entered, temporary_scene


@contextmanager
def staged_points(objects: Sequence[bpy.types.Object], name: str, options: ExportOptions, *,
                  fps: float | None = None) -> Iterator[tuple[bpy.types.Scene, list[Pca]]]:
    """Enter a scene with a mesh per person that a few mixed shape keys move, within options.budget and options.largest.

    The path is in the location curves; time starts at frame 0. Also hands out each person's shapes.
    """
    source = bpy.context.scene
    frames = rig.frames_of(*frame_range(objects, source), options)
    rate = (fps or objects[0].get(takes.FPS) or source.render.fps / source.render.fps_base) / options.step
    with temporary_scene(name, rate, len(frames)) as (scene, made, renamed):
        mixed = []
        for ob in objects:
            mesh, found = _mixed(ob, frames, options, made)
            scene.collection.objects.link(mesh)
            mixed.append(found)
            call(mesh, ob.name, renamed)
            call(mesh.data, ob.data.name, renamed)
        with entered(scene):
            yield scene, mixed


def _mixed(ob: bpy.types.Object, frames: np.ndarray, options: ExportOptions,
           made: list[bpy.types.ID]) -> tuple[bpy.types.Object, Pca]:
    points = world_points(ob, frames) @ Z_UP.T.astype(np.float32)
    path = world_matrices(ob, frames)[:, :3, 3]
    found = compact(points - path[:, None].astype(np.float32), options.budget, options.largest)
    data = bpy.data.meshes.new_from_object(ob, preserve_all_data_layers=True)  # without shape keys
    made.append(data)
    mesh = bpy.data.objects.new(ob.name, data)
    made.append(mesh)
    position: Any = data.attributes["position"]
    position.data.foreach_set("vector", np.ascontiguousarray(found.base, np.float32).ravel())
    rows = np.arange(len(frames))
    bag = compat.new_action(mesh, ob.name)
    made.append(mesh.animation_data.action)
    for axis in range(3):
        compat.add_curve(bag, "location", rows, path[:, axis], index=axis)
    mesh.shape_key_add(name="Basis")
    for number, shape in enumerate(found.shapes, 1):
        block = mesh.shape_key_add(name=f"shape_{number:03d}", from_mix=False)
        block.points.foreach_set("co", np.ascontiguousarray(found.base + shape, np.float32).ravel())
    key = data.shape_keys
    bag = compat.new_action(key, ob.name)
    made.append(key.animation_data.action)
    for number, weights in enumerate(found.weights.T, 1):
        compat.add_curve(bag, f'key_blocks["shape_{number:03d}"].value', rows, weights)
    return mesh, found
