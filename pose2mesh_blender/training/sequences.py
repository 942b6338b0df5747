"""Synthetic takes: people who move through a shot, and what a detector makes of every frame.

Everything the lifter needs (points, not surfaces) at some ten thousand frames a second on one core.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.body import Body
from ..core.camera import Normalised, normalise
from ..core.network import joints as J
from ..core.network.features import path_features
from ..core.skeletons import SMPL24_PARENTS
from .detector_noise import detect
from .synthetic import (
    ARMS,
    LEGS,
    MIRROR,
    SMPL_FLIP,
    Motion,
    axis_angle_to_matrix,
    camera_angles,
    global_rotations,
    hidden,
    random_shapes,
    seated,
    tipped,
    upright,
    view_rotations,
)

RATES = (10.0, 12.0, 15.0, 24.0, 25.0, 30.0)  # frames a second; faster footage is lifted as interleaved takes
NEAREST = 1.1  # no root nearer to the camera, metres


@dataclass
class Takes:
    """G people over T frames. Targets live in each frame's virtual camera (x right, y down, z forward), metres."""

    view: Normalised  # arrays of G * T frames
    path: np.ndarray  # (G, T, 3) see features.path_features
    times: np.ndarray  # (G, T) float32 seconds
    definition: np.ndarray  # (G,) 1 = bundled detector, 0 = any other
    joints: np.ndarray  # (G, T, 71, 3) root-relative
    rotations: np.ndarray  # (G, T, 24, 3, 3) global
    shape: np.ndarray  # (G, K)
    root: np.ndarray  # (G, T, 3) camera space, real axes
    rays: np.ndarray  # (G, T, 23, 2) what was detected
    confidence: np.ndarray  # (G, T, 23)


class PointSkinner:
    """The 71 lift points straight from bone transforms: each is a fixed linear function of them for a given shape."""

    def __init__(self, body: Body):
        self._base, self._dirs, self._share = J.point_coefficients(body)
        self._rest, self._rest_dirs = body.J_template, body.J_shapedirs

    def __call__(self, rotations: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """global rotations (G, T, 24, 3, 3), shape (G, K) -> (G, T, 71, 3); root joint's rest position stays."""
        g, t = rotations.shape[:2]
        rest = self._rest + np.tensordot(shape, self._rest_dirs, 1)
        posed = np.empty((g, t, 24, 3), np.float32)
        posed[:, :, 0] = rest[:, None, 0]
        for j in range(1, 24):
            p = SMPL24_PARENTS[j]
            bone = (rest[:, j] - rest[:, p])[:, None, :, None]
            posed[:, :, j] = posed[:, :, p] + (rotations[:, :, p] @ bone)[..., 0]
        offset = posed - (rotations @ rest[:, None, ..., None])[..., 0]
        a = np.concatenate([rotations, offset[..., None]], -1)  # (G, T, 24, 3, 4)
        a = a.transpose(0, 1, 3, 2, 4).reshape(g, t * 3, 96)
        coefficients = self._base + np.tensordot(shape, self._dirs, 1)
        share = np.broadcast_to(self._share, (g, *self._share.shape))[..., None]
        c = np.concatenate([coefficients, share], -1).reshape(g, J.COUNT, 96).astype(np.float32)
        return np.matmul(a, c.transpose(0, 2, 1)).reshape(g, t, 3, J.COUNT).transpose(0, 1, 3, 2)


class SequenceSampler:
    """Draws batches of takes. One frame per take gives the most varied single frames."""

    def __init__(self, body: Body, motion: Motion, seed: int = 0):
        self.body, self.motion, self.skin = body, motion, PointSkinner(body)
        self.rng = np.random.default_rng(seed)
        self._quaternions = _to_quaternions(motion.local)
        starts = np.flatnonzero(np.r_[True, np.diff(motion.clip) != 0])
        lengths = np.diff(np.r_[starts, len(motion.clip)])
        self._start, self._length = starts[motion.clip], lengths[motion.clip]

    def batch(self, takes: int, frames: int, clean: float = 0.0, centres: np.ndarray | None = None,
              rate: float | None = None, hardest: float | None = None) -> Takes:
        """clean: share of takes with exact, complete keypoints (1.0 for evaluation without noise).

        centres: motion frames in the middle of each take, as they are (evaluation), instead of random, augmented ones;
        rate: frames a second instead of a random one; hardest: see `detector_noise.detect`.
        """
        rng, g, t = self.rng, takes, frames
        times = self._times(g, t, rate)
        local, travel = self._poses(times, centres)
        view = self._cameras(times)
        shape = random_shapes(rng, g, len(self.body.shapedirs))
        local[:, :, 0] = view @ local[:, :, 0]
        rotations = global_rotations(local.reshape(g * t, 24, 3, 3)).reshape(g, t, 24, 3, 3)
        points = self.skin(rotations, shape)
        pelvis = points[:, :, :1]
        root = self._placed((view @ travel[..., None])[..., 0])
        points = points - pelvis
        definition = (rng.random(g) < .6).astype(np.float32)
        blend = np.where(definition > 0, rng.normal(1, .12, g), rng.uniform(-.1, 1.5, g))
        exact = rng.random(g) < clean
        definition[exact], blend[exact] = 0.0, 0.0
        seen = J.detector_points(points, np.repeat(blend[:, None], t, 1).astype(np.float32)) + root[:, :, None]
        true_rays = (seen[..., :2] / np.maximum(seen[..., 2:], .2)).astype(np.float32)
        behind = hidden(points.reshape(g * t, J.COUNT, 3), root.reshape(-1, 3), seen.reshape(g * t, 23, 3))
        lens = np.exp(rng.normal(0, .12, (g, 1, 1, 1))).astype(np.float32)
        rays, confidence = detect(true_rays * lens, behind.reshape(g, t, 23), definition > 0, times, rng, hardest)
        rays[exact], confidence[exact] = true_rays[exact], 1.0
        flat_rays, flat_confidence = rays.reshape(g * t, 23, 2), confidence.reshape(g * t, 23)
        seen_by = normalise(flat_rays, flat_confidence)
        turn = seen_by.rotation.astype(np.float32).reshape(g, t, 3, 3)  # rows times R = R^T p: real -> virtual axes
        return Takes(seen_by, path_features(seen_by, (g, t)), times, definition, points @ turn,
                     turn.transpose(0, 1, 3, 2)[:, :, None] @ rotations, shape, root, rays, confidence)

    def _times(self, g: int, t: int, rate: float | None) -> np.ndarray:
        rates = np.full(g, rate) if rate else self.rng.choice(RATES, g)
        return (np.arange(t)[None] / rates[:, None]).astype(np.float32)

    def _poses(self, times: np.ndarray, centres: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Local rotations (G, T, 24, 3, 3) and the root's way (G, T, 3) from the middle frame on, world axes."""
        rng, (g, t) = self.rng, times.shape
        if centres is not None:
            return self._read(centres, times, np.ones(g))
        pace = np.exp(rng.normal(0, .15, g))
        local, travel = self._read(self._pick(g), times, pace)
        for group, chance in ((ARMS, .2), (LEGS, .08)):
            rows = np.flatnonzero(rng.random(g) < chance)
            if len(rows):
                local[np.ix_(rows, range(t), group)] = self._read(self._pick(len(rows)), times[rows],
                                                                  pace[rows])[0][:, :, group]
        sit = np.flatnonzero(rng.random(g) < .06)
        if len(sit):
            local[np.ix_(sit, range(t), LEGS)] = seated(len(sit), rng)[:, None]
        travel[sit] *= .1
        bent = np.flatnonzero(rng.random(g) < .5)
        turns = rng.normal(size=(len(bent), 24, 3)) * rng.uniform(0, .22, (len(bent), 1, 1))
        local[bent] = local[bent] @ axis_angle_to_matrix(turns.astype(np.float32))[:, None]
        tall = np.flatnonzero(rng.random(g) < .45)  # who is captured dances and jumps, who is filmed mostly stands
        upwards = np.minimum(rng.uniform(.4, 1.6, len(tall)), 1).astype(np.float32)
        legs = _straightened(local[np.ix_(tall, range(t), LEGS)], upwards)
        local[np.ix_(tall, range(t), LEGS)] = legs @ upright(len(tall), rng)[:, None]
        travel[tall] *= (1 - .9 * upwards)[:, None, None]
        curl = np.zeros((g, 2, 3), np.float32)
        curl[:, 0, 2], curl[:, 1, 2] = -rng.uniform(0, .7, g), rng.uniform(0, .7, g)
        local[:, :, 22:24] = axis_angle_to_matrix(curl)[:, None]
        flip = np.flatnonzero(rng.random(g) < .5)
        local[flip] = MIRROR @ local[flip][:, :, SMPL_FLIP] @ MIRROR
        travel[flip] = travel[flip] @ MIRROR
        return local, travel

    def _pick(self, n: int) -> np.ndarray:
        m, rng = self.motion, self.rng
        return np.where(rng.random(n) < .7, rng.choice(m.distinct, n), rng.integers(0, len(m.local), n))

    def _read(self, centres: np.ndarray, times: np.ndarray, pace: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mocap around `centres` at the wanted times; a clip's ends are mirrored in time."""
        t = times.shape[1]
        start, length = self._start[centres], self._length[centres]
        at = (centres - start)[:, None] + (times - times[:, t // 2:t // 2 + 1]) * (pace * self.motion.fps)[:, None]
        last = (length - 1)[:, None]
        period = np.maximum(2 * last, 1)
        at = np.abs((at + last) % period - last)  # triangle wave: 0 .. last .. 0
        low = np.minimum(at.astype(int), np.maximum(last - 1, 0))
        share = (at - low).astype(np.float32)
        low += start[:, None]
        high = np.minimum(low + 1, start[:, None] + last)
        q = self._quaternions
        mixed = q[low] * (1 - share)[..., None, None] + q[high] * share[..., None, None]
        travel = np.zeros((*at.shape, 3), np.float32)
        if self.motion.root is not None:
            r = self.motion.root
            travel = r[low] * (1 - share)[..., None] + r[high] * share[..., None]
            travel = travel - travel[:, t // 2:t // 2 + 1]
        return _to_matrices(mixed), travel

    def _cameras(self, times: np.ndarray) -> np.ndarray:
        """(G, T, 3, 3) world (y up) -> camera axes; some cameras are hand-held."""
        rng, (g, t) = self.rng, times.shape
        angles = np.repeat(camera_angles(rng, g)[:, None], t, 1)
        sway = np.where(rng.random(g) < .3, rng.uniform(0, .04, g), 0)[:, None]
        for axis in (angles[..., 1], angles[..., 0]):
            axis += sway * np.sin(2 * np.pi * (rng.uniform(.1, .8, g)[:, None] * times + rng.random(g)[:, None]))
        return view_rotations(angles) @ tipped(rng, g)[:, None]

    def _placed(self, travel: np.ndarray) -> np.ndarray:
        """The root's way in camera axes, moved to a random place in front of the camera."""
        rng, g = self.rng, len(travel)
        distance = np.exp(rng.uniform(np.log(1.9), np.log(11), g))
        distance = np.maximum(distance, NEAREST - travel[..., 2].min(1))
        off = rng.uniform(-.35, .35, (g, 2)) * np.minimum(1, distance / 4)[:, None]
        centre = np.concatenate([off, np.ones((g, 1))], 1) * distance[:, None]
        return (travel + centre[:, None]).astype(np.float32)


def _straightened(legs: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Local rotations (G, T, 6, 3, 3), each taken by share (G,) of the way to none."""
    g, t = legs.shape[:2]
    q = _to_quaternions(legs.reshape(g * t, 6, 3, 3)).reshape(g, t, 6, 4)
    q *= np.where(q[..., :1] < 0, -1, 1)
    share = share[:, None, None]
    q *= (1 - share)[..., None]
    q[..., 0] += share
    return _to_matrices(q)


def _to_quaternions(matrices: np.ndarray) -> np.ndarray:
    """(F, J, 3, 3) -> (F, J, 4) w, x, y, z float32, of the same sign as the frame before."""
    m = matrices
    trace = np.trace(m, axis1=-2, axis2=-1)
    d = np.diagonal(m, axis1=-2, axis2=-1)
    choice = np.concatenate([trace[..., None], d], -1).argmax(-1)
    q = np.empty((*m.shape[:-2], 4), np.float32)
    for c in range(4):
        rows = choice == c
        s = m[rows]
        if c == 0:
            w = 1 + trace[rows]
            parts = [w, s[:, 2, 1] - s[:, 1, 2], s[:, 0, 2] - s[:, 2, 0], s[:, 1, 0] - s[:, 0, 1]]
        else:
            i, j, k = c - 1, c % 3, (c + 1) % 3
            parts = [s[:, k, j] - s[:, j, k]] + [None] * 3
            parts[1 + i] = 1 + s[:, i, i] - s[:, j, j] - s[:, k, k]
            parts[1 + j], parts[1 + k] = s[:, i, j] + s[:, j, i], s[:, i, k] + s[:, k, i]
        q[rows] = np.stack(parts, -1)
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    change = np.sign((q[1:] * q[:-1]).sum(-1))
    q[1:] *= np.cumprod(np.where(change == 0, 1, change), 0)[..., None]
    return q


def _to_matrices(q: np.ndarray) -> np.ndarray:
    """(..., 4) w, x, y, z of any length -> (..., 3, 3)."""
    q = q / np.maximum(np.linalg.norm(q, axis=-1, keepdims=True), 1e-9)
    w, x, y, z = np.moveaxis(q, -1, 0)
    xx, yy, zz, xy, xz, yz, wx, wy, wz = 2 * x * x, 2 * y * y, 2 * z * z, 2 * x * y, 2 * x * z, 2 * y * z, \
        2 * w * x, 2 * w * y, 2 * w * z
    return np.stack([1 - yy - zz, xy - wz, xz + wy, xy + wz, 1 - xx - zz, yz - wx, xz - wy, yz + wx, 1 - xx - yy],
                    -1).reshape(*q.shape[:-1], 3, 3)
