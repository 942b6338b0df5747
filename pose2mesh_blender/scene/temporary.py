"""A scene that lives for one export: what is made for it goes, and names that it borrows are given back."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import bpy

from . import takes


class Temporary(NamedTuple):
    scene: bpy.types.Scene
    made: list[bpy.types.ID]  # to be removed with it
    renamed: list[tuple[bpy.types.ID, str]]  # blocks of the user whose names were borrowed, and these names


@contextmanager
def temporary_scene(name: str, fps: float, frames: int) -> Iterator[Temporary]:
    """A scene with time from 0 to frames - 1, taken back with all that was made for it, also after an error."""
    made: list[bpy.types.ID] = []
    renamed: list[tuple[bpy.types.ID, str]] = []
    scene = bpy.data.scenes.new(name)
    try:
        takes.set_fps(scene, fps)
        scene.frame_start, scene.frame_end = 0, max(0, frames - 1)
        yield Temporary(scene, made, renamed)
    finally:
        bpy.data.batch_remove(made)
        bpy.data.scenes.remove(scene)
        for block, old in reversed(renamed):
            block.name = old


@contextmanager
def entered(scene: bpy.types.Scene) -> Iterator[None]:
    """Makes a scene the context's at its frame 0, with nothing selected or active."""
    scene.frame_set(0)
    override: Any = bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0], object=None,
                                              active_object=None, selected_objects=[])
    with override:
        yield


def call(block: bpy.types.ID, name: str, renamed: list[tuple[bpy.types.ID, str]]) -> None:
    """Give a block a name even when another has it; that one gets its own back from `renamed`."""
    group: Any = {"OBJECT": bpy.data.objects, "MESH": bpy.data.meshes, "ARMATURE": bpy.data.armatures}[block.id_type]
    holder = group.get(name)
    if holder is not None and holder != block:
        renamed.append((holder, holder.name))
        holder.name = f"~{len(renamed)}"
    block.name = name
