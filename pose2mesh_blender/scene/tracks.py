"""Keypoints on the footage: per person a tracking object of the clip, with a track per keypoint and a marker per row.

What the take holds and what the markers show differ where somebody edited. A marker is muted where its keypoint is
absent (it then lies between its neighbours in time) or hardly seen; it is keyed where it was set by hand, and
"tracked", in Blender's words, where it was detected. Objects and tracks of the user are never touched: ours are those
that the clip's custom property names.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..core.edits import ABSENT, absent_in
from ..core.skeletons import BODY23, BODY23_FLIP
from ..core.take import Take
from .timing import rate_of, timing_of

TRACKED = "pose2mesh_tracks"  # custom property of the clip: JSON, name of a tracking object -> its facts
NAMES = tuple(name.replace("_", " ").title() for name in BODY23)  # of the tracks
PARTNER = BODY23_FLIP
UNSURE = 0.2  # confidence below which a marker is muted
EVERY = 1 << 30  # rows
NEAR = 0.02  # pixels: markers that moved less have not been moved
PATTERN, SEARCH = 0.02, 0.05  # half sides of what Blender's tracker looks at, as shares of the picture's width

_seen: dict[str, set[str]] = {}  # take -> states that it had in this session; see `changed_elsewhere`


@dataclass(frozen=True)
class Tracked:
    """Whom a tracking object shows. Holds no reference to Blender's data: an undo may replace that."""

    clip_name: str
    name: str  # of the tracking object
    folder: str  # of the take
    person: int
    offset: int  # the clip's frame_offset when the markers were made
    state: str  # of the take that the markers know
    rows: int  # how many rows were detected when the markers were made

    @property
    def clip(self) -> bpy.types.MovieClip:
        return bpy.data.movieclips[self.clip_name]

    @property
    def object(self) -> bpy.types.MovieTrackingObject:
        return self.clip.tracking.objects[self.name]


@dataclass(frozen=True)
class Markers:
    """Of T rows and 23 keypoints."""

    points: np.ndarray  # (T, 23, 2) float32, shares of the picture, origin at the bottom left
    here: np.ndarray  # (T, 23) bool
    muted: np.ndarray  # (T, 23) bool

    def part(self, rows: np.ndarray | slice, joints: np.ndarray | slice = slice(None)) -> Markers:
        return Markers(*(field[rows][:, joints] for field in (self.points, self.here, self.muted)))


@dataclass(frozen=True)
class Changes:
    """What somebody did to M keypoints."""

    rows: np.ndarray  # (M,)
    joints: np.ndarray  # (M,)
    values: np.ndarray  # (M, 3) pixels and confidence

    def __len__(self) -> int:
        return len(self.rows)


# -- who is where -----------------------------------------------------------------------------------------------------
def tracked_in(clip: bpy.types.MovieClip) -> list[Tracked]:
    """Everybody of ours in the clip."""
    found = []
    for name, facts in _facts(clip).items():
        if name in clip.tracking.objects:
            found.append(Tracked(clip.name, name, facts["take"], facts["person"], facts["offset"], facts["state"],
                                 facts["rows"]))
    return found


def tracked_anywhere(folder: str | Path | None = None, person: int | None = None) -> Iterator[Tracked]:
    """Everybody of ours in all clips, or those of one take, or one person."""
    folder = None if folder is None else str(folder)
    for clip in bpy.data.movieclips:
        for tracked in tracked_in(clip):
            if folder in (None, tracked.folder) and person in (None, tracked.person):
                yield tracked


def find(clip: bpy.types.MovieClip, folder: str, person: int) -> Tracked | None:
    return next((t for t in tracked_in(clip) if (t.folder, t.person) == (folder, person)), None)


def rename(clip: bpy.types.MovieClip, old: str, new: str) -> str:
    """Gives a person's tracking object another name, made unique; returns it."""
    facts = _facts(clip)
    tracking_object = clip.tracking.objects[old]
    tracking_object.name = new
    facts[tracking_object.name] = facts.pop(old)
    clip[TRACKED] = json.dumps(facts)
    return tracking_object.name


def remove(clip: bpy.types.MovieClip, folder: str, person: int) -> None:
    """A person's tracking object goes from the clip."""
    tracked, facts = find(clip, folder, person), _facts(clip)
    if tracked is not None:
        clip.tracking.objects.remove(tracked.object)
        facts.pop(tracked.name, None)
        clip[TRACKED] = json.dumps(facts)


def _facts(clip: bpy.types.MovieClip) -> dict[str, dict]:
    """The custom property, with objects that were renamed in the clip editor under their new names."""
    try:
        facts = {str(name): {"take": str(f["take"]), "person": int(f["person"]), "offset": int(f["offset"]),
                             "state": str(f["state"]), "rows": int(f.get("rows", EVERY))}
                 for name, f in json.loads(clip.get(TRACKED, "{}")).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # not ours, or damaged
    objects = clip.tracking.objects
    lost = [name for name in facts if name not in objects]
    if lost:
        ours = set(NAMES)
        strays = [o.name for o in objects if o.name not in facts and len(ours & {t.name for t in o.tracks}) > 11]
        if len(lost) == len(strays) == 1:
            facts[strays[0]] = facts.pop(lost[0])
    return facts


# -- writing ----------------------------------------------------------------------------------------------------------
def write(clip: bpy.types.MovieClip, take: Take, person: int, first: int = 0) -> Tracked:
    """Shows a person's keypoints on the clip, from row `first` on; markers that already show them are left alone.

    Also brings markers up to date that lie at other frames since the clip's frame offset was changed.
    """
    folder, tracking = str(take.folder), clip.tracking
    tracked = find(clip, folder, person)
    facts = _facts(clip)
    frames = marker_frames(take, clip)
    if tracked is None:
        active = tracking.active_object_index
        name = tracking.objects.new(take.name(person)).name
        tracking.active_object_index = active
    else:
        name = tracked.name
    tracking_object = tracking.objects[name]
    keypoints = take.keypoints(person)
    rows = _rows_shown(frames)
    made = {track.name: track for track in tracking_object.tracks}
    for joint, track_name in enumerate(NAMES):
        track: Any = made.get(track_name)
        if track is None:
            track = tracking_object.tracks.new(name=track_name, frame=int(frames[rows[0]]))
            track.hide = bool(absent_in(keypoints[:, joint]).all())
        _place(track, frames[rows], clip.size[0] / max(1, clip.size[1]))
    if tracked is None or tracked.offset != clip.frame_offset:
        first = 0
    _show(tracking_object, take, person, frames, np.arange(len(take)) >= first)
    facts[name] = {"take": folder, "person": person, "offset": clip.frame_offset, "state": state_of(take),
                   "rows": int(take.detected.sum())}
    clip[TRACKED] = json.dumps(facts)
    know(take)
    return find(clip, folder, person)  # type: ignore[return-value]


def show_rows(tracked: Tracked, take: Take, rows: np.ndarray, points: bool = True) -> None:
    """Brings the markers of some rows (N,) up to date with the take; points: also where they are."""
    _show(tracked.object, take, tracked.person, marker_frames(take, tracked.clip, tracked.offset),
          np.isin(np.arange(len(take)), rows), points)
    remember(tracked, take)


def remember(tracked: Tracked, take: Take) -> None:
    """The markers now know the take as it is."""
    facts = _facts(tracked.clip)
    facts[tracked.name]["state"] = state_of(take)
    text = json.dumps(facts)
    if tracked.clip.get(TRACKED) != text:
        tracked.clip[TRACKED] = text
    know(take)


def state_of(take: Take) -> str:
    """What changes with the take's keypoints and how they are solved."""
    return str(take.info["solve"].get("key", ""))


def changed_elsewhere(tracked: Tracked, take: Take) -> bool:
    """Whether the take went on without these markers: in another Blender, or after this file was saved.

    When this session has made the take what it is, other markers are those of an undo, which wins.
    """
    return tracked.state != state_of(take) and state_of(take) not in _seen.get(tracked.folder, ())


def know(take: Take) -> None:
    """What the take is now has been made in this session."""
    _seen.setdefault(str(take.folder), set()).add(state_of(take))


def catch_up(tracked: Tracked, take: Take, before: Base | None = None) -> None:
    """After a change elsewhere: markers that were not set by hand here show what the take holds now.

    before: what the markers knew of the take, if that is known; whatever was done to them since stays.
    """
    spared = np.zeros((len(take), len(NAMES)), bool)
    if before is not None and len(before.frames) == len(take):
        mine = changes(tracked, before)
        spared[mine.rows, mine.joints] = True
    _show(tracked.object, take, tracked.person, marker_frames(take, tracked.clip, tracked.offset),
          np.ones(len(take), bool), spared=spared)
    remember(tracked, take)


def follow_detection(take: Take) -> None:
    """Rows that were detected after the markers were made get theirs; without it they would seem to be deleted ones."""
    for tracked in list(tracked_anywhere(take.folder)):
        if tracked.rows < take.detected.sum() and tracked.person in take.people:
            write(tracked.clip, take, tracked.person, tracked.rows)


def _show(tracking_object: bpy.types.MovieTrackingObject, take: Take, person: int, frames: np.ndarray,
          chosen: np.ndarray, points: bool = True, spared: np.ndarray | None = None) -> None:
    """Writes the markers of the `chosen` (T,) rows; spared: (T, 23) not these, nor those that were set by hand."""
    keypoints = take.keypoints(person)
    shown = markers_of(keypoints, take.image_size)
    by_hand = take.edits(person).mask(len(take)) & ~absent_in(keypoints)
    fields = [("co", shown.points), ("mute", shown.muted), ("is_keyed", by_hand)]
    tracks = {track.name: track for track in tracking_object.tracks}
    for joint, name in enumerate(NAMES):
        if name not in tracks:
            continue
        track = tracks[name]
        at = _rows_of(_get(track, "frame", np.int32), frames)
        mine = at >= 0
        mine[mine] = chosen[at[mine]]
        if spared is not None:
            mine &= ~_get(track, "is_keyed", bool) & ~spared[at, joint]
        for field, values in fields if points else fields[1:]:
            now = _get(track, field, np.float32 if field == "co" else bool)
            if not np.array_equal(now[mine], values[at[mine], joint]):
                now[mine] = values[at[mine], joint]
                _set(track, field, now)


def markers_of(keypoints: np.ndarray, size: tuple[int, int]) -> Markers:
    """How keypoints (T, 23, 3), pixels of a picture of `size` (W, H), look as markers."""
    absent = absent_in(keypoints)
    pixels = np.where(absent[..., None], np.nan, keypoints[..., :2])
    for joint in range(len(NAMES)):
        _fill(pixels[:, joint])
    nowhere = ~np.isfinite(pixels).all(-1)
    if nowhere.any():  # never seen: where the rest of the person is
        middle = np.nan_to_num(np.nanmean(np.where(nowhere[..., None], np.nan, pixels), 1)) if not nowhere.all() else \
            np.tile(np.array(size) / 2, (len(keypoints), 1))
        pixels = np.where(nowhere[..., None], middle[:, None], pixels)
    points = np.stack([pixels[..., 0] / size[0], 1 - pixels[..., 1] / size[1]], -1).astype(np.float32)
    return Markers(points, np.ones(absent.shape, bool), absent | (keypoints[..., 2] < UNSURE))


def marker_frames(take: Take, clip: bpy.types.MovieClip, offset: int | None = None) -> np.ndarray:
    """(T,) int frame of the clip that shows each row of the take; offset: default is the clip's frame offset."""
    timing = timing_of(take, 1, rate_of(take, clip))
    shift = clip.frame_offset if offset is None else offset
    return (np.ceil(timing.frames - timing.clip_start) + 1 - shift).astype(np.int64)


def scene_frames(take: Take, tracked: Tracked) -> np.ndarray:
    """(T,) int scene frame of each row's marker."""
    return marker_frames(take, tracked.clip, tracked.offset) + tracked.clip.frame_start - 1


# -- reading ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Base:
    """What a take says of one person, ready to be compared with markers."""

    keypoints: np.ndarray  # (T, 23, 3)
    first: np.ndarray  # (T, 23, 3) as first detected
    shown: Markers  # how the keypoints look
    detected: Markers  # how the first ones would
    frames: np.ndarray  # (T,) of the clip
    size: tuple[int, int]  # pixels


def base_of(tracked: Tracked, take: Take) -> Base:
    keypoints, edits = take.keypoints(tracked.person), take.edits(tracked.person)
    first = edits.detected(keypoints)
    shown = markers_of(keypoints, take.image_size)
    return Base(keypoints, first, shown, markers_of(first, take.image_size) if len(edits) else shown,
                marker_frames(take, tracked.clip, tracked.offset), take.image_size)


def read(tracked: Tracked, frames: np.ndarray) -> Markers:
    """The markers as they are now; frames: (T,) of the clip, see `marker_frames`.

    `here` is False where a marker was deleted, not where its whole track was, or where another row has its frame.
    """
    count = len(frames)
    points = np.full((count, len(NAMES), 2), np.nan, np.float32)
    muted = np.zeros((count, len(NAMES)), bool)
    here = np.ones((count, len(NAMES)), bool)
    here[_rows_shown(frames)] = False
    tracks = {track.name: track for track in tracked.object.tracks}
    for joint, name in enumerate(NAMES):
        track = tracks.get(name)
        if track is None:
            here[:, joint] = True
            continue
        rows = _rows_of(_get(track, "frame", np.int32), frames)
        mine = rows >= 0
        rows = rows[mine]
        points[rows, joint] = _get(track, "co", np.float32)[mine]
        muted[rows, joint] = _get(track, "mute", bool)[mine]
        here[rows, joint] = True
    return Markers(points, here, muted)


def changes(tracked: Tracked, base: Base) -> Changes:
    """What the markers say otherwise than the take.

    A marker that was moved, or unmuted, is certain (confidence 1); a muted or deleted one is absent; one that lies
    where detection had put it is that again; one that lies where its partner's was takes over the partner's keypoint.
    """
    all_now, was = read(tracked, base.frames), base.shown
    differs = (all_now.points != was.points).any(-1) & np.isfinite(all_now.points[..., 0])
    chosen = np.flatnonzero((differs | (all_now.muted != was.muted) | ~all_now.here).any(1))
    now, was, before = (m.part(chosen) for m in (all_now, was, base.detected))
    keypoints, first, size = base.keypoints[chosen], base.first[chosen], base.size
    absent = absent_in(keypoints)
    exists = np.isfinite(now.points[..., 0])
    gone = ~now.here | exists & now.muted & ~was.muted
    moved = _apart(now.points, was.points, size)
    placed = exists & ~gone & (~now.muted & was.muted | moved & ~(now.muted & absent))
    values = np.tile(ABSENT, (*absent.shape, 1))
    values[..., 0], values[..., 1] = now.points[..., 0] * size[0], (1 - now.points[..., 1]) * size[1]
    values[..., 2] = 1.0
    values[gone] = ABSENT
    for source, shown in ((keypoints[:, PARTNER], was.part(slice(None), PARTNER)), (first, before)):
        back = exists & (placed | gone) & ~absent_in(source) & (now.muted == shown.muted)
        back &= ~_apart(now.points, shown.points, size)
        values[back] = source[back]
    rows, joints = np.nonzero(placed | gone & ~absent)
    return Changes(chosen[rows], joints, values[rows, joints])


def put(tracked: Tracked, frames: np.ndarray, rows: np.ndarray, joints: np.ndarray, points: np.ndarray,
        muted: np.ndarray) -> None:
    """Sets markers as a person does. rows, joints: (M,); points: (M, 2) as in `Markers`; muted: (M,)."""
    tracks = {track.name: track for track in tracked.object.tracks}
    for joint in np.unique(joints):
        track: Any = tracks.get(NAMES[joint])
        if track is None:
            continue
        mine = np.flatnonzero(joints == joint)
        where = frames[rows[mine]]
        for frame in np.setdiff1d(where, _get(track, "frame", np.int32)):
            track.markers.insert_frame(int(frame))
        at = np.searchsorted(_get(track, "frame", np.int32), where)
        for field, values in (("co", points), ("mute", muted), ("is_keyed", np.ones(len(rows), bool))):
            now = _get(track, field, np.float32 if field == "co" else bool)
            now[at] = values[mine]
            _set(track, field, now)


def glance(tracked: Tracked, frame: int) -> tuple:
    """The markers of one frame of the clip, cheaply, to see whether somebody moves one."""
    found = (track.markers.find_frame(frame) for track in tracked.object.tracks)
    return tuple((m.co[0], m.co[1], m.mute) if m else None for m in found)


def _apart(a: np.ndarray, b: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (np.abs(a - b) * np.array(size, np.float32)).max(-1) > NEAR


def _fill(track: np.ndarray) -> None:
    """(T, 2) with NaN: filled between its neighbours in time, in place."""
    known = np.isfinite(track).all(1)
    if known.any() and not known.all():
        rows = np.arange(len(track))
        for axis in range(2):
            track[~known, axis] = np.interp(rows[~known], rows[known], track[known, axis])


def _rows_shown(frames: np.ndarray) -> np.ndarray:
    """Rows whose frame no later row has."""
    return np.flatnonzero(np.append(np.diff(frames) > 0, True))


def _rows_of(marker_frame: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(M,) frames of markers -> (M,) rows, -1 where the take has none."""
    rows = np.searchsorted(frames, marker_frame, side="right") - 1
    return np.where((rows >= 0) & (frames[np.maximum(rows, 0)] == marker_frame), rows, -1)


def _place(track: bpy.types.MovieTrackingTrack, frames: np.ndarray, aspect: float) -> None:
    """Gives the track markers at these frames and at no others, each with an area for Blender's tracker."""
    has = _get(track, "frame", np.int32)
    if np.array_equal(has, frames):
        return
    for frame in np.setdiff1d(frames, has):
        track.markers.insert_frame(int(frame))
    for frame in np.setdiff1d(has, frames):
        track.markers.delete_frame(int(frame))
    for field, half, corners in (("pattern_corners", PATTERN, ((-1, -1), (1, -1), (1, 1), (-1, 1))),
                                 ("search_min", SEARCH, ((-1, -1),)), ("search_max", SEARCH, ((1, 1),))):
        values = np.array(corners, np.float32) * half * [1, aspect]
        _set(track, field, np.tile(values.ravel(), (len(track.markers), 1)))


def _get(track: bpy.types.MovieTrackingTrack, field: str, dtype: Any) -> np.ndarray:
    """A field of all markers, in the order of their frames; co as (M, 2)."""
    width = 2 if field == "co" else 1
    out = np.empty(width * len(track.markers), dtype)
    track.markers.foreach_get(field, out)
    return out.reshape(-1, 2) if width == 2 else out


def _set(track: bpy.types.MovieTrackingTrack, field: str, values: np.ndarray) -> None:
    """Writes a field of all markers."""
    track.markers.foreach_set(field, np.ascontiguousarray(values, bool if values.dtype == bool else np.float32).ravel())
