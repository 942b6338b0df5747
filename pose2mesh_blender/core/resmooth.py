"""Another smoothing, or kind of shape, for one person of a solved take, the frame that somebody looks at first.

Both are settings and no damage: the keypoints in the take are raw, and everything is solved from them. No `bpy` module
use.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import roster
from .errors import Cancelled, TakeError
from .motion import Motion
from .resolve import PIECE, PIECE_LIVE, Told, solved_with
from .smoothing import is_free, smoothing_of
from .solve import SolveSettings, mesh_frames, scale_for, solve_rows, window_of
from .solve_take import body_of, detector_of, solve_key, stages_of, store_meshes, store_motion
from .stages import Known
from .standing import hold_rows
from .take import Take

GLIMPSE = 12  # rows on either side from which the first picture of a new smoothing is solved


@dataclass
class Kept:
    """Motions of the last calls, so that a slider that returns to a value finds it."""

    motions: dict[tuple, Motion] = field(default_factory=dict)

    def get(self, key: tuple, make: Callable[[], Motion]) -> Motion:
        if key not in self.motions:
            while len(self.motions) > 8:
                self.motions.pop(next(iter(self.motions)))
            self.motions[key] = make()
        return self.motions[key]


def resmooth(take: Take, person: int, smooth: float, network, *, free: bool | None = None, focus: int | None = None,
             kept: Kept | None = None, finished: Told | None = None,
             progress: Callable[[str, int, int], None] | None = None,
             cancelled: Callable[[], bool] | None = None) -> None:
    """Solves one person of a take, open for writing, with another smoothing (0..1).

    free: whether the body's shape may change over the take; None = as it is. focus: the row to show first, which is
    solved from its neighbours alone; the whole follows. finished(person, rows) tells what is stored. What a call that
    is cancelled or killed has left, the next one for this person does. Raises Cancelled and TakeError.
    """
    cancelled, finished = cancelled or (lambda: False), finished or (lambda person, rows: None)
    if person not in take.people or not take.has_mesh(person):
        raise TakeError(f"{take.folder} has no solved person {person}.", "Animate the footage first.")
    settings = solved_with(take)
    body = body_of(settings)
    before = smoothing_of(take.info, person), is_free(take.info, person)
    free = before[1] if free is None else free
    left = {str(p) for p in take.info.get("unsmoothed", [])}
    if before == (smooth, free) and str(person) not in left:
        return
    rows = np.flatnonzero(take.detected & np.isfinite(take.translation(person)).all(1))
    take.info.setdefault("smoothing", {})[str(person)] = float(smooth)
    if free != before[1]:
        take.info.setdefault("free_shapes", {})[str(person)] = free
    take.info["unsmoothed"] = sorted({*map(int, left), person})
    take.save()
    if focus is not None and focus in rows and not cancelled():
        finished(person, _glimpse(take, person, focus, smooth, network, body))
    key = (str(take.folder), person, smooth, free, take.keypoints(person).tobytes(),
           take.edits(person).mask(len(take)).tobytes(), take.intrinsics.tobytes(), id(network))
    motion = (kept or Kept()).get(key, lambda: roster.person_motion(take, person, network, smooth, body, free=free))
    store_motion(take, person, motion, network)
    rows = np.flatnonzero(take.done)
    if focus is not None:
        rows = rows[np.argsort(np.abs(rows - focus), kind="stable")]
    piece = PIECE if focus is None else PIECE_LIVE
    for start in range(0, len(rows), piece):
        if cancelled():
            raise Cancelled
        part = np.sort(rows[start:start + piece])
        store_meshes(take, person, part, motion, network, body)
        finished(person, part)
        if progress:
            progress("mesh", min(start + piece, len(rows)), len(rows))
        piece = PIECE
    take.info["unsmoothed"] = [p for p in take.info["unsmoothed"] if p != person]
    if take.info["solve"].get("key"):
        take.info["solve"]["key"] = solve_key(take, settings, network, body)
    take.save()


def _glimpse(take: Take, person: int, focus: int, smooth: float, network, body) -> np.ndarray:
    """Stores the row `focus` as its window shows it, where feet stand as before; returns the rows (1,)."""
    stages, footing, rows = stages_of(take, person, network), take.footing(person), np.array([focus])
    if stages is None:
        return rows[:0]
    settings = SolveSettings(smooth=smooth)
    first, last = window_of(focus, take.timestamps, settings, glimpse=True)
    first, last = max(first, focus - GLIMPSE), min(last, focus + GLIMPSE)
    keypoints, by_hand, shape = take.keypoints(person), take.edits(person).mask(len(take)), take.shapes(person)
    motion = solve_rows(keypoints, take.timestamps, take.intrinsics, network, first, last, shape,
                        Known(keypoints, by_hand, stages), settings, detector_of(take), by_hand,
                        scale_for(take.info["solve"].get("height"), body, shape), alone=True)
    if footing is not None:
        motion = hold_rows(motion, first, last, keypoints, take.timestamps, take.intrinsics, network, footing, by_hand)
    if motion.valid[focus - first]:
        vertices = mesh_frames(motion, network, rows - first, body)
        take.write_mesh(person, rows, vertices, motion.translation[rows - first], body.regress("smpl24", vertices))
    return rows
