"""What every loader yields: people's motion in SMPL's parameters, and how cameras saw it."""
from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from ..synthetic import axis_angle_to_matrix

FPS = 30.0
LONGEST_GAP = 0.25  # seconds between two frames of one take
HELD_OUT_SHARE = 20  # one in so many, where a dataset has no split of its own
FARTHEST_BETA = 3.0
Z_UP_TO_Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
CAMERA_TO_Y_UP = np.diag([1, -1, -1]).astype(np.float32)  # of a level camera


@dataclass(frozen=True)
class View:
    """One camera's pictures of a clip."""

    frames: np.ndarray  # (V,) which frames of the clip it saw
    keypoints: np.ndarray  # (V, 23, 3) body23, pixels and confidence 0..1, 0 = absent
    intrinsics: np.ndarray  # (V, 3, 3)
    orientation: np.ndarray  # (V, 3, 3) the pelvis's global rotation, camera axes: x right, y down, z forward
    exact: bool  # the keypoints are projections: no person and no detector found them
    aimed: bool = False  # `orientation` is in the axes of a camera aimed at the person


@dataclass(frozen=True)
class Clip:
    """One person over time, or still pictures. Rotations are relative to SMPL's own rest pose."""

    name: str
    held_out: bool
    local: np.ndarray  # (F, 24, 3, 3) float32 parent-relative rotations; the root's to the world, y up
    root: np.ndarray  # (F, 3) float32 metres, y up, from any origin
    times: np.ndarray | None  # (F,) seconds; None: stills that have nothing to do with each other
    betas: np.ndarray  # (F, B) SMPL's shape coefficients
    views: tuple[View, ...] = ()


def local_rotations(poses: np.ndarray) -> np.ndarray:
    """(F, 22 … 24 * 3 or more) rotation vectors, SMPL's, SMPL-H's or SMPL-X's order -> (F, 24, 3, 3).

    The three share the first 22 joints. SMPL's two hand joints are no fingers of SMPL-H or SMPL-X: left straight.
    """
    vectors = poses.reshape(len(poses), -1, 3)
    smpl = vectors.shape[1] == 24
    out = np.tile(np.eye(3, dtype=np.float32), (len(poses), 24, 1, 1))
    count = 24 if smpl else 22
    out[:, :count] = axis_angle_to_matrix(vectors[:, :count].astype(np.float32))
    return out


def turned_root(local: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The same poses in a world that is turned by (3, 3) or (F, 3, 3)."""
    out = local.copy()
    out[:, 0] = turn @ local[:, 0]
    return out


def plain_betas(betas: np.ndarray) -> np.ndarray:
    """(F, B) -> the same, average bodies where a fit ran away (as Pose2Mesh's own loaders do)."""
    return np.where((np.abs(betas) > FARTHEST_BETA).any(1, keepdims=True), 0, betas).astype(np.float32)


def chosen_for_test(name: str) -> bool:
    """The same one in HELD_OUT_SHARE on every machine."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


def camera_matrix(focal: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(2,) and (2,) pixels -> (3, 3) intrinsics."""
    return np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]], np.float32)


def stills(name: str, held_out: bool, rows: list[tuple], exact: bool, aimed: bool = False) -> Clip:
    """rows of keypoints (23, 3), intrinsics (3, 3), pose (72,) in camera axes and shape (10,) -> a clip of stills."""
    keypoints, intrinsics, poses, shapes = (np.stack(column).astype(np.float32) for column in zip(*rows))
    rotations = local_rotations(poses)
    view = View(np.arange(len(rows)), keypoints, intrinsics, rotations[:, 0], exact, aimed)
    return Clip(name, held_out, turned_root(rotations, CAMERA_TO_Y_UP), np.zeros((len(rows), 3), np.float32), None,
                plain_betas(shapes), (view,))


def takes(clip: Clip) -> list[tuple[np.ndarray, np.ndarray]]:
    """The clip at 30 frames a second: rotations (T, 24, 3, 3) and root (T, 3) of each piece without gaps.

    Between frames, rotations are blended along their arc (normalised linear interpolation of quaternions).
    """
    if clip.times is None:
        return [(clip.local[i:i + 1], clip.root[i:i + 1]) for i in range(len(clip.local))]
    out = []
    for piece in np.split(np.arange(len(clip.times)), np.flatnonzero(np.diff(clip.times) > LONGEST_GAP) + 1):
        times = clip.times[piece]
        at = times[0] + np.arange(int(round((times[-1] - times[0]) * FPS, 3)) + 1) / FPS
        low = np.clip(np.searchsorted(times, at + 1e-6, "right") - 1, 0, max(len(times) - 2, 0))
        high = np.minimum(low + 1, len(times) - 1)
        share = np.clip((at - times[low]) / np.maximum(times[high] - times[low], 1e-9), 0, 1)
        share[low == high] = 0
        share = np.where(np.abs(share - np.round(share)) < 1e-3, np.round(share), share)
        a, b = (clip.root[piece][i] for i in (low, high))
        root = a + (b - a) * share[:, None]
        out.append((_between(clip.local[piece], low, high, share), root.astype(np.float32)))
    return out


def _between(local: np.ndarray, low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    if not ((share > 0) & (share < 1)).any():
        return local[np.where(share > 0, high, low)]
    a, b = (Rotation.from_matrix(local[i].reshape(-1, 3, 3)).as_quat().reshape(-1, 24, 4) for i in (low, high))
    b = b * np.where((a * b).sum(-1, keepdims=True) < 0, -1, 1)
    mixed = a + (b - a) * share[:, None, None]
    return Rotation.from_quat(mixed.reshape(-1, 4)).as_matrix().reshape(-1, 24, 3, 3).astype(np.float32)
