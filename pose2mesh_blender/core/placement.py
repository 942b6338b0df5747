"""Where the person stands: root translation from the 2D keypoints, and the world from the feet. No `bpy` module use."""
from __future__ import annotations

import numpy as np

SOLE = 0.03  # the ball-of-foot joint lies this far above the sole, metres
NEAREST = 0.3  # no root closer to the camera than this, metres


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


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def gravity_up(joints: np.ndarray) -> np.ndarray:
    """World up in camera axes, (3,), from the way people stand.

    joints: (N, 24, 3) smpl24, camera space. Upright frames vote with the line from ankles to neck; with none upright
    (lying, acrobatics) the camera is taken to be level.
    """
    level = np.array([0.0, -1.0, 0.0])
    body = _unit(joints[:, 12] - (joints[:, 7] + joints[:, 8]) / 2)
    legs = _unit(joints[:, 0] - (joints[:, 7] + joints[:, 8]) / 2)
    trunk = _unit(joints[:, 12] - joints[:, 0])
    upright = (body @ level > np.cos(np.radians(40))) & ((legs * trunk).sum(-1) > np.cos(np.radians(35)))
    if upright.sum() < max(1, 0.05 * len(joints)):
        return level
    votes = body[upright]
    up = _unit(np.median(votes, 0))
    close = votes @ up > np.cos(np.radians(15))
    if close.any():
        up = _unit(votes[close].mean(0))
    return up


def world_from_camera(people: list[np.ndarray]) -> np.ndarray:
    """(4, 4) from camera space (x right, y down, z forward) to a world with z up and the ground at z = 0, metres.

    people: per person (T, 24, 3) smpl24 in camera space, NaN where absent. The camera looks along +y, and the first
    person's first pelvis stands over the origin.
    """
    seen = [p[np.isfinite(p).all((1, 2))] for p in people]
    seen = [p for p in seen if len(p)]
    out = np.eye(4)
    up = gravity_up(np.concatenate(seen)) if seen else np.array([0.0, -1.0, 0.0])
    forward = _unit(np.array([0.0, 0.0, 1.0]) - up[2] * up)
    out[:3, :3] = np.stack([np.cross(forward, up), forward, up])
    if not seen:
        out[2, 3] = 1.5
        return out
    feet = np.concatenate([p[:, [7, 8, 10, 11]] for p in seen]) @ out[2, :3]
    feet[:, :2] -= 0.05  # ankles lie higher than the ball of the foot
    out[2, 3] = SOLE - np.percentile(feet.min(1), 5)
    out[:2, 3] = -(out[:2, :3] @ seen[0][0, 0])
    return out
