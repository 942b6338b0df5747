"""A temporary scene with copies of persons, made for exporting: time starts at 0, rates are the footage's.

The user's scene is not entered at all: exporters run with the temporary one as context, and everything is taken back,
also after an error.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from . import compact, compat, shape_keys, takes
from .sampling import world_matrices


@contextmanager
def staged(objects: Sequence[bpy.types.Object], name: str, *, relative: bool, fps: float | None = None,
           keep_hiding: bool = False) -> Iterator[bpy.types.Scene]:
    """Enter a scene that holds only copies of `objects` under their own names, with time starting at frame 0.

    name: of the scene, which FBX and glTF give to the animation. relative: the copies carry relative shape keys, else
    absolute ones. fps: default is the footage's. keep_hiding: keep the curves that hide absent persons (formats that
    know no visibility show them frozen).
    """
    source = bpy.context.scene
    first, last = frame_range(objects, source)
    scene = bpy.data.scenes.new(name)
    before = _blocks()
    originals: list[tuple[bpy.types.ID, str]] = []
    try:
        takes.set_fps(scene, fps or objects[0].get(takes.FPS) or source.render.fps / source.render.fps_base)
        scene.frame_start, scene.frame_end = 0, int(np.ceil(last - first))
        for ob in objects:
            copy = _copy(ob, first, last, relative, keep_hiding)
            scene.collection.objects.link(copy)
            # names are what the files will say; the originals get theirs back below
            for block, twin in ((ob, copy), (ob.data, copy.data), (ob.data.shape_keys, copy.data.shape_keys)):
                originals.append((block, block.name))
                name, block.name = block.name, f"~{len(originals)}"
                twin.name = name
        scene.frame_set(0)
        override: Any = bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0])
        with override:
            yield scene
    finally:
        bpy.data.batch_remove(_blocks() - before)
        bpy.data.scenes.remove(scene)
        for block, name in originals:
            block.name = name


def _copy(ob: bpy.types.Object, first: float, last: float, relative: bool,
          keep_hiding: bool) -> bpy.types.Object:
    copy = ob.copy()
    copy.data = ob.data.copy()
    copy.hide_viewport = copy.hide_render = False
    if ob.parent or ob.constraints or (ob.animation_data and ob.animation_data.nla_tracks):
        _bake_transform(copy, ob, np.arange(np.floor(first), np.ceil(last) + 1))
    compat.own_action(copy)
    compat.shift_curves(copy, -first, drop=() if keep_hiding else ("hide_viewport", "hide_render"))
    if relative:
        shape_keys.to_relative(copy, by_index=True)
    elif not compact.is_compact(copy):
        shape_keys.to_absolute(copy)
    compat.own_action(copy.data.shape_keys)
    compat.shift_curves(copy.data.shape_keys, -first)
    return copy


def _bake_transform(copy: bpy.types.Object, ob: bpy.types.Object, frames: np.ndarray) -> None:
    """Give the copy of a parented or constrained object curves of where the original is in the world."""
    places = [Matrix(m) for m in world_matrices(ob, frames)]
    copy.parent = None
    copy.constraints.clear()
    copy.animation_data_clear()
    copy.rotation_mode = "QUATERNION"
    bag = compat.new_action(copy, ob.name)
    parts = [m.decompose() for m in places]
    for i in range(1, len(parts)):
        parts[i][1].make_compatible(parts[i - 1][1])
    for path, part, size in (("location", 0, 3), ("rotation_quaternion", 1, 4), ("scale", 2, 3)):
        for axis in range(size):
            compat.add_curve(bag, path, frames, np.array([p[part][axis] for p in parts]), index=axis)


def frame_range(objects: Sequence[bpy.types.Object], scene: bpy.types.Scene) -> tuple[float, float]:
    """First (as a whole frame) and last frame with a key on any of the objects."""
    frames = [compat.key_frames(curve)[[0, -1], 0] for ob in objects for owner in (ob, ob.data.shape_keys)
              for curve in compat.curves(owner) if len(curve.keyframe_points)]
    if not frames:
        return scene.frame_current, scene.frame_current
    return float(np.floor(np.min(frames))), float(np.max(frames))


def _blocks() -> set[bpy.types.ID]:
    data = bpy.data
    return {block for group in (data.objects, data.meshes, data.actions) for block in group}
