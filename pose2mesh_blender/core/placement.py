"""Where the person stands: root translation from the 2D keypoints, and the world from the feet. No `bpy` module use."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SOLE = 0.03  # the ball-of-foot joint lies this far above the sole, metres
NEAREST = 0.3  # no root closer to the camera than this, metres
TILT = 0.05  # radians: how far gravity as the posture tells it errs
FOOTPRINT = 0.025  # metres: how far the height of a footprint errs
LEVEL, LEVEL_SHARE = 0.08, 0.04  # footprints this near in height share a level; the floor is the lowest that bears much
SIZE = 0.1  # how far the natural logarithm of a person's size may err


@dataclass(frozen=True)
class Floor:
    """The plane that people stand on, camera axes, metres."""

    up: np.ndarray  # (3,) unit
    below: float  # how far below the camera

    def height(self, points: np.ndarray) -> np.ndarray:
        """points (..., 3) in camera space -> (...) metres above the floor."""
        return points @ self.up + self.below


def fit_translation(points: np.ndarray, rays: np.ndarray, weights: np.ndarray, rounds: int = 4) -> np.ndarray:
    """Root translation by least squares: the three unknowns are linear in the pinhole equations.

    points: (N, J, 3) root-relative metres, camera axes; rays: (N, J, 2) x/z, y/z; weights: (N, J), 0 = absent.
    Returns (N, 3) metres; NaN where fewer than two points count. Outliers lose weight (Cauchy, about 5 cm).
    """
    rays = np.where(weights[..., None] > 0, rays, 0.0)
    trust = weights.astype(np.float64)
    a = np.zeros((*rays.shape[:2], 2, 3))
    a[..., 0, 0] = a[..., 1, 1] = 1
    a[..., 2] = -rays
    b = rays * points[..., 2:] - points[..., :2]
    for _ in range(rounds):
        aw = a * trust[..., None, None]
        lhs = np.einsum("njrk,njrl->nkl", aw, a) + 1e-9 * np.eye(3)
        t = np.linalg.solve(lhs, np.einsum("njrk,njr->nk", aw, b)[..., None])[..., 0]
        error = np.linalg.norm(np.einsum("njrk,nk->njr", a, t) - b, axis=-1)
        trust = weights / (1 + np.square(error / 0.05))
    t[:, 2] = np.maximum(t[:, 2], NEAREST - points[..., 2].min(1))
    t[(weights > 0).sum(1) < 2] = np.nan
    return t


def unit(v: np.ndarray) -> np.ndarray:
    """(..., 3) -> the same directions with length 1."""
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def gravity_up(joints: np.ndarray) -> np.ndarray:
    """World up in camera axes, (3,), from the way people stand.

    joints: (N, 24, 3) smpl24, camera space. Upright frames vote with the line from ankles to neck; with none upright
    (lying, acrobatics) the camera is taken to be level.
    """
    level = np.array([0.0, -1.0, 0.0])
    body = unit(joints[:, 12] - (joints[:, 7] + joints[:, 8]) / 2)
    legs = unit(joints[:, 0] - (joints[:, 7] + joints[:, 8]) / 2)
    trunk = unit(joints[:, 12] - joints[:, 0])
    upright = (body @ level > np.cos(np.radians(40))) & ((legs * trunk).sum(-1) > np.cos(np.radians(35)))
    if upright.sum() < max(1, 0.05 * len(joints)):
        return level
    votes = body[upright]
    up = unit(np.median(votes, 0))
    close = votes @ up > np.cos(np.radians(15))
    if close.any():
        up = unit(votes[close].mean(0))
    return up


def fit_floor(places: np.ndarray, weights: np.ndarray, owners: np.ndarray, up: np.ndarray,
              people: int) -> tuple[np.ndarray, np.ndarray]:
    """One gravity for all, and per person how far the floor lies below the camera, from where soles stood.

    places: (N, 3) soles on the ground, camera space; weights: (N,) seconds; owners: (N,) person 0..P-1 of each;
    up: (3,) what the posture says; people: P. Returns up (3,) and below (P,), NaN for people who never stood. Steps,
    boxes and chairs are other levels, which do not count (Cauchy).
    """
    levels = np.full(people, np.nan)
    if not len(places):
        return up, levels
    side = unit(np.cross(up, [0.0, 0.0, 1.0]) if abs(up[2]) < 0.9 else np.cross(up, [1.0, 0.0, 0.0]))
    tilts = np.stack([side, np.cross(up, side)])
    centre = np.array([places[owners == o].mean(0) if (owners == o).any() else np.zeros(3) for o in range(people)])
    prior, turned = up, np.zeros(2)
    for person in range(people):
        if (owners == person).any():
            levels[person] = _lowest_level((places @ up)[owners == person], weights[owners == person])
    rows = (places - centre[owners]) @ tilts.T  # height that a tilt of 1 adds
    member = owners[:, None] == np.arange(people)
    level = np.nan_to_num(levels)
    for _ in range(5):
        trust = weights / (1 + np.square((places @ up - level[owners]) / LEVEL))
        a = np.concatenate([rows, -1.0 * member], 1)
        aw = a * (trust / FOOTPRINT ** 2)[:, None]
        lhs = aw.T @ a + np.diag(np.r_[np.full(2, 1 / TILT ** 2), np.full(people, 1e-6)])
        turned = np.linalg.solve(lhs, -aw.T @ (places @ prior))[:2]
        up = unit(prior + turned @ tilts)
        heights = places @ up
        trust = weights / (1 + np.square((heights - level[owners]) / LEVEL))
        for person in np.flatnonzero(np.isfinite(levels)):
            mine = owners == person
            level[person] = np.average(heights[mine], weights=trust[mine] + 1e-9)
    return up, np.where(np.isfinite(levels), -level, np.nan)


def common_floor(below: np.ndarray) -> np.ndarray:
    """How far the floor lies below the camera for each person (P,), NaN = unknown -> factors on their sizes (P,).

    One view cannot tell a small person nearby from a tall one far away, but people who share a floor must agree on it.
    Who would have to change by more than SIZE stands on something else and keeps the size.
    """
    out = np.ones(len(below))
    known = np.isfinite(below) & (below > 0.3)  # a camera near the ground tells no size
    log = np.log(np.where(known, below, 1.0))
    near = known & known[:, None] & (np.abs(log[:, None] - log) < 2 * SIZE)
    if not near.any():
        return out
    group = near[near.sum(1).argmax()]
    change = np.mean(log[group]) - log
    fits = group & (np.abs(change) < SIZE)
    out[fits] = np.exp(log[fits].mean() - log[fits])
    return out


def _lowest_level(heights: np.ndarray, weights: np.ndarray) -> float:
    """Height of the lowest group of footprints that bears a good share of what the best group bears."""
    near = np.abs(heights[:, None] - heights) < LEVEL
    bears = near @ weights
    lowest = np.argmin(np.where(bears >= LEVEL_SHARE * bears.max(), heights, np.inf))
    return float(np.average(heights[near[lowest]], weights=weights[near[lowest]] + 1e-9))


def world_from_camera(people: list[np.ndarray], floor: Floor | None = None) -> np.ndarray:
    """(4, 4) from camera space (x right, y down, z forward) to a world with z up and the ground at z = 0, metres.

    people: per person (T, 24, 3) smpl24 in camera space, NaN where absent; floor: where it is known. The camera looks
    along +y, and the first person's first pelvis stands over the origin.
    """
    seen = [p[np.isfinite(p).all((1, 2))] for p in people]
    seen = [p for p in seen if len(p)]
    out = np.eye(4)
    up = np.array([0.0, -1.0, 0.0])
    if seen:
        up = floor.up if floor else gravity_up(np.concatenate(seen))
    forward = unit(np.array([0.0, 0.0, 1.0]) - up[2] * up)
    out[:3, :3] = np.stack([np.cross(forward, up), forward, up])
    if not seen:
        out[2, 3] = 1.5
        return out
    if floor:
        out[2, 3] = floor.below
    else:
        feet = np.concatenate([p[:, [7, 8, 10, 11]] for p in seen]) @ out[2, :3]
        feet[:, :2] -= 0.05  # ankles lie higher than the ball of the foot
        out[2, 3] = SOLE - np.percentile(feet.min(1), 5)
    out[:2, 3] = -(out[:2, :3] @ seen[0][0, 0])
    return out
