"""Rows of a take that were solved again, into the meshes that show it."""
from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..core.errors import TakeError
from ..core.take import Take
from . import compact, compat, shape_keys, takes, tracks

NOBODY = [-1]  # as the rows of a person who is not in the take any more


def people_showing(folder: str, person: int) -> Iterator[tuple[bpy.types.Collection, bpy.types.Object]]:
    """Every mesh, in any scene, of one person of a take, with its collection."""
    for collection in bpy.data.collections:
        if collection.get(takes.TAKE) == folder:
            for ob in takes.people_of(collection):
                if int(ob[takes.PERSON]) == person:
                    yield collection, ob


def show_rows(take: Take, person: int, rows: np.ndarray) -> int:
    """Writes shape keys and places of some rows (N,) to all meshes of a person; returns how many meshes there are."""
    meshes = list(people_showing(str(take.folder), person))
    for collection, ob in meshes:
        update(collection, ob, take, rows)
    return len(meshes)


def update(collection: bpy.types.Collection, ob: bpy.types.Object, take: Take, rows: np.ndarray | None = None) -> None:
    """Brings one mesh up to date with its take; rows: those that changed, None = all.

    Keys are written in place, so that what the user did to curves and keys stays. Only where the person came or went
    the animation is made anew. Raises TakeError when the shape keys are no longer ours.
    """
    person, shown = int(ob[takes.PERSON]), _rows_shown(ob, take)
    # rows that wait for their new mesh still have the old one
    old = np.isin(np.arange(len(take)), shown) & take.detected
    here = np.flatnonzero(np.isfinite(take.translation(person)).all(1) & (take.done | old))
    if not np.array_equal(here, shown):
        rebuild(collection, ob, take, here)
        return
    blocks = ob.data.shape_keys.key_blocks
    wanted = shown if rows is None else np.intersect1d(shown, rows)
    number = np.searchsorted(shown, wanted)
    place = takes.placing_of(collection, ob, take)
    for index, positions in zip(number, takes.posed(take, person, wanted, place)):
        blocks[int(index) + 1].points.foreach_set("co", np.ascontiguousarray(positions, np.float32).ravel())
    _move(ob, number, len(shown), takes.placed(take, person, wanted, place))
    ob.data.shape_keys.update_tag()
    ob.data.update_tag()
    ob.update_tag(refresh={"OBJECT", "DATA", "TIME"})


def finish(take: Take, before: str) -> None:
    """After all changed rows were shown: the meshes show the take as it is now.

    before: the take's state when the change began. A mesh of another one (somebody has undone) gets all rows.
    """
    tracks.know(take)
    for person in take.people:
        for collection, ob in people_showing(str(take.folder), person):
            if ob.get(takes.STATE) not in (before, tracks.state_of(take)):
                update(collection, ob, take)
            ob[takes.STATE] = tracks.state_of(take)


def out_of_date(ob: bpy.types.Object, take: Take) -> bool:
    """Whether the mesh shows another state of its take, for example after an undo."""
    return ob.get(takes.STATE) != tracks.state_of(take)


def _rows_shown(ob: bpy.types.Object, take: Take) -> np.ndarray:
    if compact.is_compact(ob):
        raise TakeError(f"{ob.name} has compact shape keys, which follow no change.", "Store it as Absolute first.")
    keys = len(ob.data.shape_keys.key_blocks) - 1
    rows = np.array(ob.get(takes.ROWS, ()), np.int64)
    if not len(rows):  # of a file from before rows were remembered
        rows = takes.present(take, int(ob[takes.PERSON]))
    if rows.tolist() != NOBODY and (len(rows) != keys or rows.max() >= len(take)):
        raise TakeError(f"{ob.name} has {keys} shape keys where its take has {len(rows)} frames.",
                        "Turn its keys back into absolute or relative ones, or animate the footage again.")
    return rows


def _move(ob: bpy.types.Object, number: np.ndarray, count: int, places: np.ndarray) -> None:
    """places (N, 3) into the location curves' keys of these numbers (N,), where the curves are still ours."""
    for axis in range(3):
        curve = compat.find_curve(ob, "location", axis)
        if curve is None or len(curve.keyframe_points) != count:
            continue  # the user thinned or removed it
        compat.set_values(curve, places[:, axis], number)


def rebuild(collection: bpy.types.Collection, ob: bpy.types.Object, take: Take,
            rows: np.ndarray | None = None) -> None:
    """All keys and curves anew, in the storage that the mesh had; rows (N,): where the person is shown."""
    rows = takes.present(take, int(ob[takes.PERSON])) if rows is None else rows
    if not len(rows):  # the keys stay, for by them it is known as a person
        ob[takes.ROWS] = NOBODY
        ob.hide_viewport = ob.hide_render = True
        return
    relative = ob.data.shape_keys.use_relative
    compat.remove_action(ob.data.shape_keys)
    compat.remove_action(ob)
    ob.shape_key_clear()
    ob.hide_viewport = ob.hide_render = False
    takes.animate(ob, take, rows, takes.timing_in(collection, take), takes.placing_of(collection, ob, take))
    if relative:
        shape_keys.to_relative(ob)
