"""Pinhole camera, and the virtual camera that looks straight at a person. No `bpy` module use.

Camera axes: x right, y down, z forward.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

DEFAULT_FOV = 55.0  # degrees across the longer side: between a phone's main lens and a 35 mm lens
VISIBLE = 0.02  # below this confidence a keypoint is treated as absent


def intrinsics_from_fov(width: int, height: int, fov: float = DEFAULT_FOV) -> np.ndarray:
    """(3, 3) float64 intrinsics, principal point in the middle; fov: degrees across the longer image side."""
    return intrinsics_from_focal(width, height, max(width, height) / 2 / np.tan(np.radians(fov) / 2))


def intrinsics_from_focal(width: int, height: int, focal: float) -> np.ndarray:
    """(3, 3) float64 intrinsics, principal point in the middle; focal length in pixels."""
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])


def pixels_to_rays(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """points (..., 2) pixels -> (..., 2) x/z, y/z on the plane z = 1."""
    return np.stack([(points[..., 0] - intrinsics[0, 2]) / intrinsics[0, 0],
                     (points[..., 1] - intrinsics[1, 2]) / intrinsics[1, 1]], -1)


def confidence_of(keypoints: np.ndarray) -> np.ndarray:
    """keypoints (..., 3) pixels + confidence -> (...) float64 confidence, 0 where anything is not finite."""
    return np.where(np.isfinite(keypoints).all(-1), keypoints[..., 2], 0.0).astype(np.float64)


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """points (..., 3) metres in camera space -> (..., 2) pixels."""
    z = np.maximum(points[..., 2:], 1e-6)
    return points[..., :2] / z * np.diag(intrinsics)[:2] + intrinsics[:2, 2]


class Normalised(NamedTuple):
    """Keypoints seen by the virtual camera."""

    points: np.ndarray  # (N, J, 2) about -1..1: relative to the box centre, divided by half the longer box side
    confidence: np.ndarray  # (N, J), 0 where absent
    log_size: np.ndarray  # (N,) log of half the longer box side on the plane z = 1 (how near and large the person is)
    rotation: np.ndarray  # (N, 3, 3) virtual camera axes -> real camera axes


def rotation_to(direction: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors with z > -1 -> (N, 3, 3) smallest rotations that take (0, 0, 1) there."""
    x, y, z = direction.T
    k = 1 / (1 + z)
    return np.stack([np.stack([1 - x * x * k, -x * y * k, x], -1),
                     np.stack([-x * y * k, 1 - y * y * k, y], -1),
                     np.stack([-x, -y, z], -1)], 1)


def _box(points: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = np.where(present[..., None], points, np.inf).min(1)
    high = np.where(present[..., None], points, -np.inf).max(1)
    empty = ~present.any(1)
    low[empty], high[empty] = -0.1, 0.1
    return (low + high) / 2, (high - low).max(1) / 2


def normalise(rays: np.ndarray, confidence: np.ndarray) -> Normalised:
    """Turns a virtual camera to each person's box centre and scales isotropically.

    rays: (N, J, 2) from `pixels_to_rays`, NaN allowed where absent; confidence: (N, J).
    Aspect and perspective survive; position in the frame and distance become `rotation` and `log_size`.
    """
    present = np.isfinite(rays).all(-1) & (confidence > VISIBLE)
    rays = np.where(present[..., None], rays, 0.0)
    centre, _ = _box(rays, present)
    direction = np.concatenate([centre, np.ones_like(centre[:, :1])], 1)
    rotation = rotation_to(direction / np.linalg.norm(direction, axis=1, keepdims=True))
    seen = np.concatenate([rays, np.ones_like(rays[..., :1])], -1) @ rotation  # rows times R = R^T r
    seen = seen[..., :2] / np.maximum(seen[..., 2:], 1e-3)
    centre, half = _box(seen, present)
    half = np.maximum(half, 1e-3)
    points = np.where(present[..., None], (seen - centre[:, None]) / half[:, None, None], 0.0)
    return Normalised(points, np.where(present, confidence, 0.0), np.log(half), rotation)
