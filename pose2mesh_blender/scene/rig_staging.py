"""A temporary scene with skinned copies of persons, made for exporting; the user's scene is not entered."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import bpy
import numpy as np
from mathutils import Matrix

from ..core.presets import ExportOptions, Preset
from . import rig, takes
from .sampling import Z_UP
from .staging import frame_range
from .temporary import call, entered, temporary_scene

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
    with temporary_scene(name, rate, len(kept)) as (scene, made, renamed):
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
        with entered(scene):
            yield scene, fitted
