"""Three ways of storing a person's poses, from each to each, and caches outside the file."""
from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core.errors import ExportError, TakeError
from ..core.take import Take
from . import compact, compat, shape_keys, takes
from .export import run, writing
from .temporary import call, entered, temporary_scene

ABSOLUTE, RELATIVE, COMPACT = "ABSOLUTE", "RELATIVE", "COMPACT"
CACHE = "pose2mesh_cache"  # of an object that plays a cache
INSIDE = "person"  # the mesh in an Alembic cache


def storage_of(ob: bpy.types.Object) -> str:
    if compact.is_compact(ob):
        return COMPACT
    return RELATIVE if ob.data.shape_keys.use_relative else ABSOLUTE


def store(people: list[bpy.types.Object], storage: str, count: int = 64) -> None:
    """Everybody or nobody; what cannot be is known before anything changes.

    count: of the keys of compact storage. Raises TakeError for keys that are mixed by hand, and when compact keys are
    to become exact and the take is gone, or are not animated.
    """
    lines = {}
    for ob in people:
        if storage != RELATIVE and storage_of(ob) == RELATIVE:
            try:
                lines[ob] = shape_keys.time_line(ob)
            except ValueError:
                raise TakeError(f"{ob.name}: its shape keys are mixed by hand and cannot be put on one time line.",
                                "Keep them relative, or animate the footage again.") from None
    opened: dict[bpy.types.Object, tuple[bpy.types.Collection | None, Take]] = {}
    try:
        for ob in people:
            if storage != COMPACT and compact.is_compact(ob):
                collection = takes.collection_of(ob)
                opened[ob] = collection, Take.open(str(collection[takes.TAKE]) if collection else "")
        for ob in people:
            if ob in opened:
                _exact(ob, *opened[ob])
            if storage == RELATIVE:
                shape_keys.to_relative(ob)
            elif storage == ABSOLUTE:
                shape_keys.to_absolute(ob, lines.get(ob))
            else:
                compact.to_compact(ob, count)
    finally:
        for _, take in opened.values():
            take.close()


def bake(ob: bpy.types.Object, path: Path) -> bpy.types.Object:
    """Writes a person's poses to a PC2 or an Alembic file, by its suffix, and returns a new object, beside the person,
    that plays it.

    One pose per scene frame; the new object shares the path and the material. An Alembic file plays by the clock, at
    the frame rate that the scene has now. Raises ExportError.
    """
    path = Path(path).absolute()
    curves = [c for owner in (ob, ob.data.shape_keys) for c in compat.curves(owner) if len(c.keyframe_points)]
    ends = np.concatenate([compat.key_frames(c)[[0, -1], 0] for c in curves]) if curves else np.ones(1)
    frames = np.arange(int(np.floor(ends.min())), int(np.ceil(ends.max())) + 1)
    if path.suffix.lower() == ".abc":
        _write_alembic(ob, path, frames)
        return _player(ob, path, lambda made: _play_alembic(made, path))
    _write_pc2(ob, path, frames)
    return _player(ob, path, lambda made: _play_pc2(made, path, int(frames[0])))


def _write_pc2(ob: bpy.types.Object, path: Path, frames: np.ndarray) -> None:
    vertices = len(ob.data.vertices)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, vertices, float(frames[0]), 1.0, len(frames)))
            for positions in shape_keys.shapes_at(ob, frames):
                file.write(np.ascontiguousarray(positions, "<f4").tobytes())
        os.replace(partial, path)
    except OSError as error:
        raise ExportError(f"{path} cannot be written ({error.strerror or error}).",
                          "Choose a folder you may write to.") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _write_alembic(ob: bpy.types.Object, path: Path, frames: np.ndarray) -> None:
    """The keys alone, of a copy that stands at the origin."""
    render = bpy.context.scene.render
    with writing(path, [ob]) as file, \
            temporary_scene(path.stem, render.fps / render.fps_base, len(frames)) as (scene, made, renamed):
        copy = ob.copy()
        made.append(copy)
        copy.data = ob.data.copy()
        made.append(copy.data)
        copy.animation_data_clear()
        copy.parent = None
        copy.constraints.clear()
        copy.modifiers.clear()
        copy.delta_location = (0, 0, 0)
        copy.matrix_world.identity()
        copy.hide_viewport = copy.hide_render = False
        scene.collection.objects.link(copy)
        call(copy, INSIDE, renamed)
        call(copy.data, INSIDE, renamed)
        with entered(scene):
            run(path, bpy.ops.wm.alembic_export, filepath=str(file), start=int(frames[0]), end=int(frames[-1]),
                as_background_job=False, uvs=False, normals=False, face_sets=False)


def _player(ob: bpy.types.Object, path: Path, play: Callable[[bpy.types.Object], None]) -> bpy.types.Object:
    made = ob.copy()
    made.name = f"{ob.name} Cache"
    made.data = ob.data.copy()
    made.shape_key_clear()
    made.data.name = made.name
    for name in [n for n in made.keys() if n.startswith("pose2mesh_")]:
        del made[name]
    made[CACHE] = str(path)
    play(made)
    made.modifiers.move(len(made.modifiers) - 1, 0)  # before what the user has put on the person
    for collection in ob.users_collection:
        collection.objects.link(made)
    return made


def _play_pc2(made: bpy.types.Object, path: Path, first: int) -> None:
    cache: Any = made.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = "PC2", _stored(path)
    cache.frame_start, cache.interpolation = first, "LINEAR"
    cache.forward_axis, cache.up_axis = "POS_Y", "POS_Z"


def _play_alembic(made: bpy.types.Object, path: Path) -> None:
    before = set(bpy.data.cache_files)
    bpy.ops.cachefile.open(filepath=str(path))
    file = next(iter(set(bpy.data.cache_files) - before))
    file.filepath = _stored(path)
    cache: Any = made.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    cache.cache_file, cache.object_path = file, f"/{INSIDE}/{INSIDE}"
    cache.read_data = {"VERT"}


def _stored(path: Path) -> str:
    """Relative to the .blend where that has a place, so that both can be moved."""
    try:
        return bpy.path.relpath(str(path)) if bpy.data.filepath else str(path)
    except ValueError:  # on another drive
        return str(path)


def _exact(ob: bpy.types.Object, collection: bpy.types.Collection | None, take: Take) -> None:
    rows = np.array(ob.get(takes.ROWS, ()), np.int64)
    if collection is None or not len(rows) or rows.max() >= len(take):
        raise TakeError(f"{ob.name}: the take does not know these frames.", "Animate the footage again.")
    where = takes.placing_of(collection, ob, take)
    compact.to_absolute(ob, takes.posed(take, int(ob[takes.PERSON]), rows, where))
