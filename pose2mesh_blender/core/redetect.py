"""Detecting one person again in some frames, where the keypoints of a take say that they are. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .detection.estimator import KEEP_SCORE, PoseEstimator
from .detection.movenet import keypoint_box
from .edits import Edits, absent_in, same
from .errors import Cancelled, TakeError
from .footage import Footage, open_footage
from .progress import Progress
from .take import Take

FEWEST = 4  # keypoints that say where somebody is


def footage_of(take: Take, moved: str | None = None) -> Footage:
    """The footage that a take was made from.

    moved: where it is looked for when it is no longer where the take knows it: a video, a still, or a picture of a
    sequence. Raises FootageError when it is in neither place, TakeError when other footage is there, or when the take
    was made from a keypoint file.
    """
    known = Path(str(take.footage.get("path", "")))
    if take.footage.get("kind") == "keypoints":
        raise TakeError(f"{known} holds keypoints, not pictures to find them in.",
                        "Correct them by hand, or animate the video itself.")
    if not moved or known.exists():
        return open_footage(known)
    footage = open_footage(Path(moved).parent if take.footage.get("kind") == "sequence" else moved)
    if footage.identity() != take.footage.get("identity"):
        raise TakeError(f"{moved} is other footage than that of the take.", "Choose the file that it was made from.")
    return footage


def redetect(footage: Footage, take: Take, person: int, first: int, last: int, estimator: PoseEstimator, *,
             keep_edited: bool = True, progress: Progress | None = None,
             cancelled: Callable[[], bool] | None = None) -> Edits:
    """Looks for a person again in the rows first..last and returns all corrections of that person; stores nothing.

    Each frame is searched where its keypoints are, corrected ones included, and where it has none, between the frames
    that have some. keep_edited: leave keypoints that were set by hand. Frames in which the person is not found keep
    what they have. Raises TakeError when no keypoints say where to look, Cancelled.
    """
    keypoints, edits = take.keypoints(person), take.edits(person)
    boxes = person_boxes(keypoints)
    if boxes is None:
        raise TakeError(f"{take.folder}: {take.name(person)} has no frame with {FEWEST} keypoints.",
                        "Place some markers first, so that it is known where to look.")
    keep = edits.mask(len(take)) if keep_edited else np.zeros(keypoints.shape[:2], bool)
    found = keypoints.copy()
    step = int(take.settings.get("step", 1))
    frames = footage.frames(start=int(take.frames[first]), end=int(take.frames[last]), step=step)
    for row, frame in zip(range(first, last + 1), frames):
        if cancelled and cancelled():
            raise Cancelled
        answer = estimator.estimate_in(frame.image, boxes[row])
        if answer.score >= KEEP_SCORE:
            found[row] = np.where(keep[row][:, None], keypoints[row], answer.keypoints)
        if progress:
            progress("detect", row + 1 - first, last + 1 - first)
    absent = absent_in(found)
    found[absent] = (np.nan, np.nan, 0)
    rows, joints = np.nonzero(~same(found, keypoints))
    return edits.changed(rows, joints, found[rows, joints], keypoints, by_hand=False)


def person_boxes(keypoints: np.ndarray) -> np.ndarray | None:
    """keypoints (T, 23, 3) -> (T, 4) boxes x0, y0, x1, y1 in pixels, moving evenly through frames without any."""
    seen = np.where(absent_in(keypoints)[..., None], 0.0, keypoints)
    rows = np.flatnonzero((seen[..., 2] > 0.1).sum(1) >= FEWEST)
    if not len(rows):
        return None
    boxes = np.stack([keypoint_box(seen[row], np.zeros(4)) for row in rows])
    return np.stack([np.interp(np.arange(len(keypoints)), rows, column) for column in boxes.T], 1)
