"""A take that is in a scene already, and has changed: its people, their motion, what was not done yet."""
from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from ..core.smoothing import is_free, smoothing_of
from ..core.take import Take
from . import compact, corrected, placing, storage, takes, tracks

PEOPLE = "pose2mesh_people"  # of a collection: ids of the people that the take is to solve, in order
OFF = "pose2mesh_off"  # of a collection: ids of those who are shown and not solved
SMOOTH = "pose2mesh_smoothing"  # of a person: the smoothing that the mesh shows
FREE = "pose2mesh_free_shape"  # of a person: whether the shape of the mesh may change over the take


def collections_of(folder: str) -> list[bpy.types.Collection]:
    """All that show this take, in any scene."""
    return [c for c in bpy.data.collections if c.get(takes.TAKE) == folder]


def note(collection: bpy.types.Collection, take: Take) -> None:
    """The collection remembers whom it shows and how, so that an undo can be followed."""
    collection[PEOPLE] = take.people
    for ob in takes.people_of(collection):
        if int(ob[takes.PERSON]) in take.people:
            _note_solve(ob, take)


def refresh(collection: bpy.types.Collection, take: Take, heirs: dict[int, int] | None = None) -> None:
    """Brings a whole collection up to date; what the user has set on objects that stay is kept.

    heirs: newcomer -> the person whose name, colour, material and size it takes over. Meshes and markers of people who
    are not in the take any more go; those who are only switched off stay as they are.
    """
    heirs = heirs or {}
    known = {int(ob[takes.PERSON]): ob for ob in takes.people_of(collection)}
    _move_world(collection, take)
    for person in take.people:
        if person not in known and len(takes.present(take, person)):
            like = known.get(heirs.get(person, -1))
            made = takes.add_person(collection, take, person, like)
            if like is not None:
                _inherit(made, like)
    for person, ob in known.items():
        if person in take.people:
            show(collection, ob, take)
        elif person not in off_in(collection):
            remove(collection, ob)
    tracks.follow_detection(take)
    note(collection, take)


def show(collection: bpy.types.Collection, ob: bpy.types.Object, take: Take) -> None:
    """One person as the take has it, in the storage that the mesh has."""
    if compact.is_compact(ob):
        count = len(ob.data.shape_keys.key_blocks) - 1
        compact.forget(ob)
        corrected.rebuild(collection, ob, take)
        storage.store([ob], storage.COMPACT, count)
    else:
        corrected.update(collection, ob, take)
    finish(ob, take)


def finish(ob: bpy.types.Object, take: Take) -> None:
    """The mesh shows the take as it is now."""
    tracks.know(take)
    ob[takes.STATE] = tracks.state_of(take)
    _note_solve(ob, take)


def _note_solve(ob: bpy.types.Object, take: Take) -> None:
    person = int(ob[takes.PERSON])
    ob[SMOOTH], ob[FREE] = smoothing_of(take.info, person), is_free(take.info, person)


def remove(collection: bpy.types.Collection, ob: bpy.types.Object) -> None:
    """A person's mesh, curves and markers; the take keeps the person."""
    clip, person = takes.clip_of(collection), int(ob[takes.PERSON])
    if clip:
        tracks.remove(clip, str(collection[takes.TAKE]), person)
    owned: list[bpy.types.ID] = [ob]
    keys = ob.data.shape_keys
    owned += [a.action for a in (ob.animation_data, keys and keys.animation_data) if a and a.action
              and a.action.users == 1]
    if ob.data.users == 1:
        owned.append(ob.data)
    bpy.data.batch_remove(owned)


def off_in(collection: bpy.types.Collection) -> list[int]:
    """People who are shown and not solved."""
    return [int(p) for p in collection.get(OFF, ()) if int(p) >= 0]


def set_off(collection: bpy.types.Collection, people: list[int]) -> None:
    collection[OFF] = people or [-1]  # Blender keeps no empty lists


def _inherit(made: bpy.types.Object, like: bpy.types.Object) -> None:
    """The newcomer stands where the heir of a name stood: name and place in the outliner's order."""
    name = like.name
    like.name = f"{name} (merged)"
    made.name = made.data.name = name


def _move_world(collection: bpy.types.Collection, take: Take) -> None:
    before = placing.matrix_of(collection, placing.WORLD)
    if before is None or np.allclose(before, take.world_from_camera, atol=1e-6):
        return
    camera, clip = takes.take_camera(collection), takes.clip_of(collection)
    seen = placing.worlds_of(collection, None, clip, np.zeros(1))[0]
    collection[placing.WORLD] = take.world_from_camera.ravel().tolist()
    now = placing.worlds_of(collection, None, clip, np.zeros(1))[0]
    if camera and placing.matrix_of(collection, placing.BASIS) is None:
        camera.matrix_basis = Matrix((now @ np.linalg.inv(seen)).tolist()) @ camera.matrix_basis

