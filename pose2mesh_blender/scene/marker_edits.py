"""Edits of many markers at once. Each takes the markers as they are and says which to put where; see `tracks.put`."""
from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .tracks import PARTNER, Base, Markers


class Put(NamedTuple):
    """M markers to set."""

    rows: np.ndarray  # (M,)
    joints: np.ndarray  # (M,)
    points: np.ndarray  # (M, 2) as in `Markers`
    muted: np.ndarray  # (M,) bool


def propagate(now: Markers, base: Base, by_hand: np.ndarray, row: int, joints: np.ndarray, before: int, after: int,
              falloff: str) -> Put:
    """Carries the correction of one row to its neighbours, where it fades.

    by_hand: (T, 23) bool, markers that were corrected, at which it ends; joints: (N,) to carry; before, after: rows;
    falloff: SMOOTH, LINEAR or CONSTANT. The correction is how far a marker lies from where detection had put it.
    Muted neighbours are taken along, and unmuted, where half of the correction or more arrives.
    """
    cells = []
    shift = now.points[row] - base.detected.points[row]
    for joint in joints:
        if not now.here[row, joint] or now.muted[row, joint] or not np.isfinite(shift[joint]).all():
            continue
        for way, length in ((-1, before), (1, after)):
            for step in range(1, length + 1):
                at = row + way * step
                if not 0 <= at < len(by_hand) or by_hand[at, joint]:
                    break
                share = _share(step / (length + 1), falloff)
                lost = not now.here[at, joint] or not np.isfinite(now.points[at, joint]).all()
                if lost or (now.muted[at, joint] and share < 0.5):
                    continue
                cells.append((at, joint, *(now.points[at, joint] + share * shift[joint])))
    return _put(cells)


def interpolate(now: Markers, joints: np.ndarray, first: int, last: int, longest: int) -> Put:
    """Fills muted and missing markers between two good ones, along a smooth curve through their neighbours.

    joints: (N,); first, last: rows of the range; longest: rows that a gap may have.
    """
    good = now.here & ~now.muted & np.isfinite(now.points).all(-1)
    cells = []
    for joint in joints:
        rows = np.flatnonzero(good[:, joint])
        for left, right in pairwise(rows):
            if right - left < 2 or right - left - 1 > longest:
                continue
            path = _hermite(now.points[:, joint], rows, left, right)
            cells += [(row, joint, *path(row)) for row in range(max(left + 1, first), min(right, last + 1))]
    return _put(cells)


def swap(now: Markers, first: int, last: int, joints: np.ndarray) -> Put:
    """Exchanges left and right markers in the rows first..last. joints: (N,), partners are added."""
    joints = np.unique(np.concatenate([joints, PARTNER[joints]]))
    joints = joints[PARTNER[joints] != joints]
    rows, joints = (a.ravel() for a in np.meshgrid(np.arange(first, last + 1), joints, indexing="ij"))
    other = PARTNER[joints]
    known = np.isfinite(now.points[rows, other]).all(1) & now.here[rows, joints] & now.here[rows, other]
    rows, joints, other = rows[known], joints[known], other[known]
    return Put(rows, joints, now.points[rows, other], now.muted[rows, other])


def _share(distance: float, falloff: str) -> float:
    """Of the correction, at a distance 0..1."""
    if falloff == "CONSTANT":
        return 1.0
    return 1 - distance if falloff == "LINEAR" else 0.5 + 0.5 * float(np.cos(np.pi * distance))


def _hermite(points: np.ndarray, rows: np.ndarray, left: int, right: int):
    """Cubic from points[left] to points[right]; its slopes are those of the good rows (N,) around, not overshooting."""
    length, step = right - left, (points[right] - points[left]) / (right - left)

    def slope(row: int, towards: int) -> np.ndarray:
        near = rows[(rows <= row) & (rows > row - 4)] if towards < 0 else rows[(rows >= row) & (rows < row + 4)]
        if len(near) < 2:
            return step
        found = (points[near[-1]] - points[near[0]]) / (near[-1] - near[0])
        return np.where(found * step > 0, np.sign(step) * np.minimum(np.abs(found), 3 * np.abs(step)), 0.0)

    start, end = slope(left, -1) * length, slope(right, 1) * length

    def at(row: int) -> np.ndarray:
        t = (row - left) / length
        return ((2 * t**3 - 3 * t**2 + 1) * points[left] + (t**3 - 2 * t**2 + t) * start
                + (3 * t**2 - 2 * t**3) * points[right] + (t**3 - t**2) * end)

    return at


def _put(cells: list[tuple]) -> Put:
    data = np.array(cells, np.float64).reshape(-1, 4)
    return Put(data[:, 0].astype(int), data[:, 1].astype(int), data[:, 2:].astype(np.float32),
               np.zeros(len(data), bool))
