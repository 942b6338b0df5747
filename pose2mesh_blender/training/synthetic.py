"""What synthetic people are made of: mocap poses, chairs, body shapes, cameras, and what hides behind what."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.body import Body
from ..core.network import joints as J
from ..core.skeletons import SMPL24, SMPL24_PARENTS, flip_permutation

HELD_OUT = re.compile(r"cmu_(05_|13_|14_|139_|140_|salsa_2|indian_1)")
MIRROR = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
SMPL_FLIP = flip_permutation(SMPL24)
ARMS, LEGS = [13, 14, 16, 17, 18, 19, 20, 21], [1, 2, 4, 5, 7, 8]
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


def upright(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 6, 3, 3) local rotations of LEGS that stand straight."""
    return axis_angle_to_matrix(rng.normal(0, .07, (n, 6, 3)).astype(np.float32))


def random_shapes(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
    """(n, count) body shapes, standard deviations."""
    return np.clip(rng.normal(size=(n, count)), -3, 3).astype(np.float32)


def camera_angles(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 3) pitch, yaw, roll, radians: any yaw, mostly level cameras."""
    pitch = np.where(rng.random(n) < .85, rng.normal(.12, .2, n), rng.uniform(-.9, 1.2, n))
    return np.stack([pitch, rng.uniform(-np.pi, np.pi, n), rng.normal(0, .07, n)], -1).astype(np.float32)


def tipped(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 3, 3): turns of the whole body, most of them none, some any way up."""
    turns = np.tile(np.eye(3, dtype=np.float32), (n, 1, 1))
    rows = np.flatnonzero(rng.random(n) < .05)
    turns[rows] = axis_angle_to_matrix(rng.normal(0, 1.2, (len(rows), 3)).astype(np.float32))
    return turns


def view_rotations(angles: np.ndarray) -> np.ndarray:
    """pitch, yaw, roll (..., 3) -> (..., 3, 3) world (y up) to camera axes (y down)."""
    pitch, yaw, roll = (axis_angle_to_matrix(angles * axis) for axis in np.eye(3, dtype=np.float32))
    return np.diag([1, -1, -1]).astype(np.float32) @ roll @ pitch @ yaw


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
