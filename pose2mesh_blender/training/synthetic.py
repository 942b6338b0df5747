"""Synthetic training samples, made as they are needed: mocap pose + body shape + camera + a detector's view of it."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.body import Body
from ..core.camera import Normalised, normalise
from ..core.network import joints as J
from ..core.skeletons import SMPL24, SMPL24_PARENTS, flip_permutation
from .detector_noise import detect

HELD_OUT = re.compile(r"cmu_(05_|13_|14_|139_|140_|salsa_2|indian_1)")
MIRROR = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
SMPL_FLIP = flip_permutation(SMPL24)
ARMS, LEGS, LIMBS = [13, 14, 16, 17, 18, 19, 20, 21], [1, 2, 4, 5, 7, 8], [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
NO_VERTICES = np.empty(0, int)
# Capsules that hide joints behind them: smpl24 ends and radius, metres.
CAPSULES = ((0, 9, .13), (9, 12, .14), (12, 15, .09), (16, 18, .05), (17, 19, .05), (18, 20, .04), (19, 21, .04),
            (1, 4, .08), (2, 5, .08), (4, 7, .055), (5, 8, .055), (1, 2, .11), (16, 17, .09))


def axis_angle_to_matrix(v: np.ndarray) -> np.ndarray:
    """(..., 3) rotation vectors -> (..., 3, 3), Rodrigues."""
    angle = np.linalg.norm(v, axis=-1, keepdims=True)[..., None]
    x, y, z = np.moveaxis(v / np.maximum(angle[..., 0], 1e-8), -1, 0)
    o = np.zeros_like(x)
    k = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape[:-1], 3, 3)
    return np.eye(3, dtype=v.dtype) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def smallest_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that takes direction a (3,) to b (3,) the short way."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    axis = np.cross(a, b)
    sin = np.linalg.norm(axis)
    return axis_angle_to_matrix(axis / max(sin, 1e-9) * np.arctan2(sin, a @ b))


def global_rotations(local: np.ndarray) -> np.ndarray:
    """(N, 24, 3, 3) parent-relative -> global."""
    out = local.copy()
    for j in range(1, 24):
        out[:, j] = out[:, SMPL24_PARENTS[j]] @ local[:, j]
    return out


@dataclass
class Motion:
    """Mocap poses on our rest pose."""

    local: np.ndarray  # (F, 24, 3, 3) float32 parent-relative rotations
    clip: np.ndarray  # (F,) clip number
    distinct: np.ndarray  # indices of poses that differ by at least ~9 cm from each other
    fps: float = 30.0
    root: np.ndarray | None = None  # (F, 3) pelvis, metres, y up


def load_motion(paths: list[Path], body: Body, held_out: bool, stride: int = 1, thin: bool = True) -> Motion:
    """Reads `*_smpl24_30fps.npz` files; `held_out` picks the test subjects, else all others.

    thin: look for the distinct poses, which takes most of the time; without it every frame counts as one.
    """
    local, root = [np.zeros((0, 24, 3, 3), np.float32)], [np.zeros((0, 3), np.float32)]
    clip, count = [np.zeros(0, int)], 0
    for path in paths:
        with np.load(path, allow_pickle=False) as z:
            align = rest_alignment(z["rest_joints"], body.J_template)
            for name, start, length in zip(z["clip_name"], z["clip_start"], z["clip_len"]):
                if bool(HELD_OUT.match(str(name))) == held_out:
                    r = axis_angle_to_matrix(z["poses"][start:start + length:stride].astype(np.float32))
                    local.append(realigned(r, align))
                    root.append(z["trans"][start:start + length:stride].astype(np.float32))
                    clip.append(np.full(len(r), count))
                    count += 1
    rotations, clips = np.concatenate(local), np.concatenate(clip)
    distinct = distinct_poses(rotations, body) if thin else np.arange(len(rotations))
    return Motion(rotations, clips, distinct, 30.0 / stride, np.concatenate(root))


def realigned(local: np.ndarray, align: np.ndarray) -> np.ndarray:
    """Local rotations (F, 24, 3, 3) on another rest pose -> the same poses on ours, by `rest_alignment` (24, 3, 3)."""
    out = np.empty(local.shape, np.float32)
    for j, p in enumerate(SMPL24_PARENTS):
        out[:, j] = (align[p].T if p >= 0 else np.eye(3)) @ local[:, j] @ align[j]
    return out


def rest_alignment(source_rest: np.ndarray, target_rest: np.ndarray) -> np.ndarray:
    """(24, 3, 3): per joint the rotation from our rest bone direction to the mocap's; limbs only."""
    align = np.tile(np.eye(3), (24, 1, 1))
    for j, child in ((1, 4), (2, 5), (4, 7), (5, 8), (7, 10), (8, 11), (16, 18), (17, 19), (18, 20), (19, 21), (20, 22),
                     (21, 23)):
        align[j] = smallest_rotation(target_rest[child] - target_rest[j], source_rest[child] - source_rest[j])
    for leaf, parent in ((10, 7), (11, 8), (22, 20), (23, 21)):
        align[leaf] = align[parent]
    return align


def distinct_poses(local: np.ndarray, body: Body, threshold: float = 0.09) -> np.ndarray:
    """Greedy thinning, yaw kept out by using the pelvis frame."""
    r = local.copy()
    r[:, 0] = np.eye(3)
    r = global_rotations(r)
    rest = body.J_template
    p = np.zeros((len(r), 24, 3), np.float32)
    for j in range(1, 24):
        p[:, j] = p[:, SMPL24_PARENTS[j]] + r[:, SMPL24_PARENTS[j]] @ (rest[j] - rest[SMPL24_PARENTS[j]])
    kept = np.empty((len(p), 22, 3), np.float32)
    n, keep = 0, []
    for i in np.random.default_rng(0).permutation(len(p))[:30000]:
        if n and np.abs(kept[:n] - p[i, :22]).max((1, 2)).min() < threshold:
            continue
        kept[n] = p[i, :22]
        n += 1
        keep.append(i)
    return np.array(keep, int)


def seated(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 6, 3, 3) local rotations of LEGS on a chair, kneeling or squatting."""
    v = np.zeros((n, 6, 3), np.float32)  # hips, knees, ankles; left, right
    v[:, :2, 0] = -rng.uniform(1.0, 1.9, (n, 1)) + rng.normal(0, .12, (n, 2))
    spread = rng.uniform(-.1, .5, (n, 2))
    v[:, 0, 2], v[:, 1, 2] = spread[:, 0], -spread[:, 1]
    v[:, 2:4, 0] = rng.uniform(.4, 2.3, (n, 1)) + rng.normal(0, .2, (n, 2))
    v[:, 4:, 0] = rng.normal(0, .2, (n, 2))
    return axis_angle_to_matrix(v)


class Skinner:
    """Skins only chosen vertices: enough for joints, 30 times cheaper than the whole mesh."""

    def __init__(self, body: Body, extra: np.ndarray = NO_VERTICES):
        needed, matrix = J.point_rows(body)
        self.body, self.used = body, np.unique(np.concatenate([needed, extra]))
        self.extra = np.searchsorted(self.used, extra)
        self._weights = body.weights[self.used]
        self._template, self._dirs = body.v_template[self.used], body.shapedirs[:, self.used]
        self._regress = np.zeros((len(matrix), len(self.used)), np.float32)
        self._regress[:, np.searchsorted(self.used, needed)] = matrix

    def __call__(self, rotations: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """global rotations (N, 24, 3, 3), shape (N, K) -> lift points (N, 71, 3), extra vertices (N, E, 3); root 0."""
        n = len(rotations)
        rest = self.body.J_template + np.tensordot(shape, self.body.J_shapedirs, 1)
        posed = np.zeros_like(rest)
        for j in range(1, 24):
            p = SMPL24_PARENTS[j]
            posed[:, j] = posed[:, p] + (rotations[:, p] @ (rest[:, j] - rest[:, p])[..., None])[..., 0]
        offset = posed - (rotations @ rest[..., None])[..., 0]
        a = np.concatenate([rotations, offset[..., None]], -1).reshape(n, 24, 12)
        blend = np.matmul(self._weights, a).reshape(n, -1, 3, 4)
        v = self._template + np.tensordot(shape, self._dirs, 1)
        v = (blend[..., :3] @ v[..., None])[..., 0] + blend[..., 3]
        r = np.matmul(self._regress, v)
        points = np.concatenate([r[:, :17], posed, r[:, 17:]], 1)
        root = points[:, :1]
        return (points - root).astype(np.float32), (v[:, self.extra] - root).astype(np.float32)


@dataclass
class Batch:
    """One batch. Targets live in the virtual camera's axes (x right, y down, z forward), metres, root-relative."""

    view: Normalised
    definition: np.ndarray  # (N,) 1 = bundled detector, 0 = any other
    joints: np.ndarray  # (N, 71, 3)
    extra: np.ndarray  # (N, E, 3)
    rotations: np.ndarray  # (N, 24, 3, 3) global
    shape: np.ndarray  # (N, K)


class Sampler:
    """Draws batches. `clean=True` gives exact projections of all 23 keypoints."""

    def __init__(self, body: Body, motion: Motion, seed: int = 0, extra: np.ndarray = NO_VERTICES):
        self.body, self.motion, self.skin = body, motion, Skinner(body, extra)
        self.rng = np.random.default_rng(seed)

    def poses(self, n: int, frames: np.ndarray | None = None) -> np.ndarray:
        """(n, 24, 3, 3) local rotations: distinct and plain frames, mixed limbs, perturbed, seated, mirrored."""
        rng, m = self.rng, self.motion
        if frames is not None:
            return m.local[frames].copy()

        def pick(k: int) -> np.ndarray:
            return np.where(rng.random(k) < .7, rng.choice(m.distinct, k), rng.integers(0, len(m.local), k))

        local = m.local[pick(n)].copy()
        for group, chance in ((ARMS, .2), (LEGS, .08)):
            swap = np.flatnonzero(rng.random(n) < chance)
            local[np.ix_(swap, group)] = m.local[pick(len(swap))][:, group]
        sit = np.flatnonzero(rng.random(n) < .06)
        if len(sit):
            local[np.ix_(sit, LEGS)] = seated(len(sit), rng)
        stand = np.flatnonzero(rng.random(n) < .1)  # mocap thinned for variety has few straight legs
        local[np.ix_(stand, LEGS)] = axis_angle_to_matrix(rng.normal(0, .07, (len(stand), 6, 3)).astype(np.float32))
        jitter = np.flatnonzero(rng.random(n) < .5)
        scale = rng.uniform(0, .22, (len(jitter), 1, 1))
        noise = axis_angle_to_matrix((rng.normal(size=(len(jitter), 24, 3)) * scale).astype(np.float32))
        local[jitter] = local[jitter] @ noise
        curl = np.zeros((n, 2, 3), np.float32)
        curl[:, 0, 2], curl[:, 1, 2] = -rng.uniform(0, .7, n), rng.uniform(0, .7, n)
        local[:, 22:24] = axis_angle_to_matrix(curl)
        flip = np.flatnonzero(rng.random(n) < .5)
        local[flip] = MIRROR @ local[np.ix_(flip, SMPL_FLIP)] @ MIRROR
        return local

    def shapes(self, n: int) -> np.ndarray:
        shape = self.rng.normal(size=(n, len(self.body.shapedirs))).astype(np.float32)
        return np.clip(shape, -3, 3)

    def view_rotations(self, n: int) -> np.ndarray:
        """(n, 3, 3) world (y up) -> camera axes: any yaw, mostly level cameras, some bodies any way up."""
        rng = self.rng
        angles = np.zeros((n, 3, 3), np.float32)
        angles[:, 0, 1] = rng.uniform(-np.pi, np.pi, n)
        angles[:, 1, 0] = np.where(rng.random(n) < .85, rng.normal(.12, .2, n), rng.uniform(-.9, 1.2, n))
        angles[:, 2, 2] = rng.normal(0, .07, n)
        yaw, pitch, roll = np.moveaxis(axis_angle_to_matrix(angles), 1, 0)
        anyway = np.flatnonzero(rng.random(n) < .05)
        yaw[anyway] = yaw[anyway] @ axis_angle_to_matrix(rng.normal(0, 1.2, (len(anyway), 3)).astype(np.float32))
        return np.diag([1, -1, -1]).astype(np.float32) @ roll @ pitch @ yaw

    def batch(self, n: int, clean: bool = False, frames: np.ndarray | None = None, hardest: float | None = None
              ) -> Batch:
        """frames: exact frames of the motion to use (evaluation) instead of random, augmented ones; hardest: see
        `detector_noise.detect`."""
        rng = self.rng
        shape = self.shapes(n)
        local = self.poses(n, frames)
        local[:, 0] = self.view_rotations(n) @ local[:, 0]
        rotations = global_rotations(local)
        points, extra = self.skin(rotations, shape)
        distance = np.exp(rng.uniform(np.log(1.9), np.log(11), n))
        off_axis = rng.uniform(-.35, .35, (n, 2)) * np.minimum(1, distance / 4)[:, None]
        root = np.concatenate([off_axis, np.ones((n, 1))], 1) * distance[:, None]
        definition = (rng.random(n) < .6).astype(np.float32)
        blend = np.where(definition > 0, rng.normal(1, .12, n), rng.uniform(-.1, 1.5, n))
        if clean:
            definition, blend = np.zeros(n, np.float32), np.zeros(n)
        seen = detector_view(points, root, blend)
        rays, confidence = seen[..., :2] / np.maximum(seen[..., 2:], .2), np.ones((n, 23))
        if not clean:
            rays = rays * np.exp(rng.normal(0, .12, (n, 1, 1)))
            behind = hidden(points, root, seen)[:, None]
            rays, confidence = detect(rays[:, None], behind, definition > 0, np.zeros((n, 1)), rng, hardest)
            rays, confidence = rays[:, 0], confidence[:, 0]
        view = normalise(rays, confidence)
        turn = view.rotation.transpose(0, 2, 1).astype(np.float32)  # real -> virtual axes

        def turned(p: np.ndarray) -> np.ndarray:
            return p @ turn.transpose(0, 2, 1)

        return Batch(view, definition, turned(points), turned(extra), turn[:, None] @ rotations, shape)


def detector_view(points: np.ndarray, root: np.ndarray, definition: np.ndarray) -> np.ndarray:
    """lift points (N, 71, 3), root (N, 3) -> the detector's 23 points in camera space (N, 23, 3)."""
    return J.detector_points(points, definition) + root[:, None]


def hidden(points: np.ndarray, root: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(N, 23) bool: the keypoint lies behind a limb, the trunk or the head (capsules around the skeleton)."""
    smpl = points[:, J.SMPL] + root[:, None]
    out = np.zeros(seen.shape[:2], bool)
    flat, depth = seen[..., :2] / np.maximum(seen[..., 2:], .2), seen[..., 2]
    for a, b, radius in CAPSULES:
        pa, pb = smpl[:, a], smpl[:, b]
        ua, ub = pa[:, :2] / np.maximum(pa[:, 2:], .2), pb[:, :2] / np.maximum(pb[:, 2:], .2)
        d = (ub - ua)[:, None]
        t = np.clip(((flat - ua[:, None]) * d).sum(-1) / np.maximum((d * d).sum(-1), 1e-9), 0, 1)
        near = np.linalg.norm(flat - (ua[:, None] + t[..., None] * d), axis=-1)
        z = pa[:, None, 2] + t * (pb - pa)[:, None, 2]
        out |= (near < radius / z) & (depth > z + radius + .04)
    return out
