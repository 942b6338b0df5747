"""A temporary scene with skinned copies of persons, made for exporting; the user's scene is not entered."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core.presets import ExportOptions, Preset
from . import rig, takes
from .sampling import Z_UP
from .staging import frame_range

CENTIMETRES = 100.0


@contextmanager
def staged_rigs(objects: Sequence[bpy.types.Object], name: str, preset: Preset, options: ExportOptions, *,
                fps: float | None = None, y_up: bool = False) -> Iterator[tuple[bpy.types.Scene, list[rig.Fitted]]]:
    """Enter a scene that holds an armature and a skinned mesh per person, with time starting at frame 0.

    name: of the scene, which exporters give to the animation. fps: default is the footage's. y_up: the data itself has
    y up and centimetres, and the objects are turned so that they stand; FBX then needs no turned or scaled node.
    """
    source = bpy.context.scene
    frames = rig.frames_of(*frame_range(objects, source), options)
    fitted = [rig.fit_person(ob, preset, options, frames) for ob in objects]
    rate = fps or objects[0].get(takes.FPS) or source.render.fps / source.render.fps_base
    kept = fitted[0].frames
    rate /= (kept[1] - kept[0]) if len(kept) > 1 else 1
    made: list[bpy.types.ID] = []
    renamed: list[tuple[bpy.types.ID, str]] = []
    scene = bpy.data.scenes.new(name)
    try:
        takes.set_fps(scene, rate)
        count = len(kept)
        scene.frame_start, scene.frame_end = 0, max(0, count - 1)
        if y_up:
            scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", 1 / CENTIMETRES
        for ob, person in zip(objects, fitted):
            armature, mesh = rig.build(
                person, ob, f"{ob.name} Rig", [scene.collection], np.arange(len(person.frames)), made=made,
                axes=np.eye(3) if y_up else Z_UP, unit=CENTIMETRES if y_up else 1.0)
            if y_up:
                armature.matrix_world = Matrix(Z_UP.tolist()).to_4x4()
            call(armature, preset.armature or f"{ob.name} Rig", renamed)
            call(armature.data, armature.name, renamed)
            call(mesh, ob.name, renamed)
            call(mesh.data, ob.name, renamed)
        scene.frame_set(0)
        override: Any = bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0], object=None,
                                                  active_object=None, selected_objects=[])
        with override:
            yield scene, fitted
    finally:
        bpy.data.batch_remove(made)
        bpy.data.scenes.remove(scene)
        for block, old in reversed(renamed):
            block.name = old


def call(block: bpy.types.ID, name: str, renamed: list[tuple[bpy.types.ID, str]]) -> None:
    """Give a block a name even when another has it; that one gets its own back from `renamed`."""
    group: Any = {"OBJECT": bpy.data.objects, "MESH": bpy.data.meshes, "ARMATURE": bpy.data.armatures}[block.id_type]
    holder = group.get(name)
    if holder is not None and holder != block:
        renamed.append((holder, holder.name))
        holder.name = f"~{len(renamed)}"
    block.name = name
