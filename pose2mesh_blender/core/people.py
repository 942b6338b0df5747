"""Whom a take keeps: the most prominent of everybody whom the tracker followed. No `bpy` module use."""
from __future__ import annotations

import numpy as np

from .take import Take
from .track_log import read_log

MAX_PEOPLE = 8  # kept when the user names no number
MIN_SHARE, MIN_SECONDS = 0.1, 0.5  # a person is kept by default when seen in this share of the frames or this long


def choose_people(take: Take, people: int | None = None) -> int:
    """Keeps the most prominent people of the track log and stores their keypoints; returns how many.

    Prominence is the sum over frames of mean confidence times height in pixels. `people` = N keeps the N first.
    None keeps everybody seen in 10 % of the frames or for half a second, at most 8.
    """
    chosen = {"people": people, "rows": int(take.detected.sum())}
    if take.info.get("chosen") == chosen:  # keypoints that a user corrected since then stay
        return len(take.people)
    score: dict[int, float] = {}
    seen: dict[int, int] = {}
    for _, ids, keypoints in read_log(take.folder / "tracks.bin"):
        for person, points in zip(ids.tolist(), keypoints):
            score[person] = score.get(person, 0.0) + prominence(points[None])
            seen[person] = seen.get(person, 0) + 1
    order = sorted(score, key=lambda i: (-score[i], i))
    if people is None:
        step = int(take.settings.get("step", 1))
        needed = max(1, min(MIN_SHARE * int(take.detected.sum()), MIN_SECONDS * take.fps / step))
        order = [i for i in order if seen[i] >= needed][:MAX_PEOPLE]
    kept = order[:people]
    tracks = {i: np.full((len(take), 23, 3), np.nan, np.float32) for i in kept}
    for row, ids, keypoints in read_log(take.folder / "tracks.bin"):
        for person, points in zip(ids.tolist(), keypoints):
            if person in tracks:
                tracks[person][row] = points
    names = {p["id"]: p["name"] for p in take.info["people"]}
    take.set_people({i: names.get(i, f"Person {n}") for n, i in enumerate(kept, 1)})
    for person, track in tracks.items():
        set_detected(take, person, track)
    take.info["chosen"] = chosen
    take.save()
    return len(kept)


def set_detected(take: Take, person: int, detected: np.ndarray) -> None:
    """Stores (T, 23, 3) keypoints of a detection, all but those that were corrected since an earlier one."""
    edits = take.edits(person).based_on(detected)
    if len(edits):
        take.set_edits(person, edits)
    take.set_keypoints(person, edits.applied(detected))


def prominence(keypoints: np.ndarray) -> float:
    """(N, 23, 3) -> sum over N of mean confidence of the 17 COCO keypoints times height in pixels."""
    there = np.isfinite(keypoints[..., 0]).any(1)
    y = keypoints[there][..., 1]
    if not len(y):
        return 0.0
    height = np.nanmax(y, 1) - np.nanmin(y, 1)
    return float((np.nan_to_num(keypoints[there][:, :17, 2]).mean(1) * height).sum())
