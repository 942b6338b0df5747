"""Whose keypoints an operator or panel means, and what was edited but is not solved yet."""
from __future__ import annotations

import bpy
import numpy as np

from ..core.errors import TakeError
from ..core.take import Take
from ..scene import corrected, takes, tracks
from .keypoint_properties import keypoint_settings
from .people import active_take
from .text import say

_bases: dict[tuple, tuple[str, tracks.Base]] = {}  # whose -> state of the take, what it said then


def target(context: bpy.types.Context) -> tracks.Tracked | None:
    """The person whose tracking object is active in the clip editor, else the active or first person of the take."""
    space = context.space_data
    if space is not None and space.type == "CLIP_EDITOR" and space.clip:  # type: ignore[attr-defined]
        clip = space.clip  # type: ignore[attr-defined]
        here = tracks.tracked_in(clip)
        active = clip.tracking.objects.active
        return next((t for t in here if active and t.name == active.name), here[0] if here else None)
    collection = active_take(context)
    clip = takes.clip_of(collection) if collection else None
    if clip is None:
        return None
    here = [t for t in tracks.tracked_in(clip) if t.folder == collection[takes.TAKE]]
    ob = context.view_layer.objects.active
    person = int(ob[takes.PERSON]) if takes.is_person(ob) else None
    return next((t for t in here if t.person == person), here[0] if here else None)


def poll_target(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if target(context) is None:
        cls.poll_message_set(say(
            "Animate footage first. Keypoint files need the video that they were made from, see Footage"))
        return False
    return True


def chosen_joints(tracked: tracks.Tracked) -> np.ndarray:
    """(N,) joints of body23 whose tracks are selected; all when none is."""
    selected = {track.name for track in tracked.object.tracks if track.select and not track.hide}
    joints = np.flatnonzero([name in selected for name in tracks.NAMES])
    return joints if len(joints) else np.arange(len(tracks.NAMES))


def row_at(frames: np.ndarray, frame: int) -> int:
    """The row that a frame of the same count shows; frames: (T,)."""
    return int(np.clip(np.searchsorted(frames, frame, side="right") - 1, 0, len(frames) - 1))


def rows_in(context: bpy.types.Context, frames: np.ndarray) -> tuple[int, int]:
    """First and last row that the settings' frames mean; frames: (T,) scene frame of each row."""
    settings, scene = keypoint_settings(context.scene), context.scene
    if settings.extent == "FRAME":
        row = row_at(frames, scene.frame_current)
        return row, row
    if settings.extent == "RANGE":
        ends = settings.first, settings.last
    elif scene.use_preview_range:
        ends = scene.frame_preview_start, scene.frame_preview_end
    else:
        ends = scene.frame_start, scene.frame_end
    low, high = min(ends), max(ends)
    inside = np.flatnonzero((frames >= low) & (frames <= high))
    if not len(inside):
        raise TakeError(f"Frames {low} to {high} are outside of the take.", "Choose frames that it has.")
    return int(inside[0]), int(inside[-1])


def base(tracked: tracks.Tracked, take: Take) -> tracks.Base:
    """`tracks.base_of`, kept until the take changes."""
    key, state = _key(tracked), tracks.state_of(take)
    known = _bases.get(key)
    if known is None or known[0] != state:
        _bases[key] = known = (state, tracks.base_of(tracked, take))
    return known[1]


def _key(tracked: tracks.Tracked) -> tuple:
    return tracked.clip_name, tracked.folder, tracked.person, tracked.offset, tracked.clip.fps


def forget() -> None:
    _bases.clear()


def edited_in(scene: bpy.types.Scene) -> dict[str, dict[int, tuple[tracks.Tracked, tracks.Changes]]]:
    """take folder -> person -> what its markers say otherwise than the take, for all takes of a scene.

    Markers of a take that went on elsewhere are brought up to date first. Takes that cannot be read are left out.
    """
    found: dict[str, dict[int, tuple[tracks.Tracked, tracks.Changes]]] = {}
    for folder in dict.fromkeys(str(c[takes.TAKE]) for c in takes.takes_in(scene)):
        try:
            with Take.open(folder) as take:
                tracks.follow_detection(take)
                for tracked in tracks.tracked_anywhere(folder):
                    if tracked.person not in take.people:
                        continue
                    if tracks.changed_elsewhere(tracked, take):
                        known = _bases.get(_key(tracked))
                        tracks.catch_up(tracked, take, known[1] if known and known[0] == tracked.state else None)
                    changes = tracks.changes(tracked, base(tracked, take))
                    if len(changes) and tracked.person not in found.get(folder, {}):
                        found.setdefault(folder, {})[tracked.person] = (tracked, changes)
        except TakeError:
            continue
    return found


def old_meshes(scene: bpy.types.Scene) -> list[str]:
    """Folders of takes whose meshes in the scene show another state, as after an undo."""
    found = []
    for collection in takes.takes_in(scene):
        try:
            with Take.open(collection[takes.TAKE]) as take:
                if any(corrected.out_of_date(ob, take) for ob in takes.people_of(collection)):
                    found.append(str(collection[takes.TAKE]))
        except TakeError:
            continue
    return list(dict.fromkeys(found))


def request_of(folder: str, people: dict[int, tuple[tracks.Tracked, tracks.Changes]], settings: dict) -> dict:
    """The worker's request that stores and solves these changes."""
    return {"cmd": "resolve", "take": folder, "settings": settings, "changes": {
        str(person): {"rows": found.rows.tolist(), "joints": found.joints.tolist(), "values": found.values.tolist()}
        for person, (_, found) in people.items()}}


def settle(folder: str, people: dict[int, tuple[tracks.Tracked, tracks.Changes]]) -> None:
    """After a take has stored changes: its clips remember which markers are corrections."""
    with Take.open(folder) as take:
        for tracked in list(tracks.tracked_anywhere(folder)):
            if tracked.person in people:
                source, found = people[tracked.person]
                tracks.show_rows(tracked, take, np.unique(found.rows), points=tracked.clip_name != source.clip_name)
            else:
                tracks.remember(tracked, take)


def show(folder: str, person: int, rows: np.ndarray) -> None:
    """Rows that are solved, into the meshes."""
    with Take.open(folder) as take:
        corrected.show_rows(take, person, rows)
