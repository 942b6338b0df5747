"""What PoseNet is fed. No `bpy` module use."""
from __future__ import annotations

import numpy as np

from ..camera import Normalised, rotation_to
from ..skeletons import BODY23_FLIP

WIDTH = 23 * 3 + 2
PATH_WIDTH = 3


def features(view: Normalised, definition: np.ndarray | float) -> np.ndarray:
    """Normalised body23 keypoints -> (N, 71) float32: x, y, confidence per joint, log size, detector definition.

    definition: 1 where the keypoints come from the bundled detectors, 0 for any other source (see joints.py).
    """
    n = len(view.points)
    present = view.confidence[..., None] > 0
    points = np.where(present, np.clip(view.points, -3, 3), 0)
    per_joint = np.concatenate([points, view.confidence[..., None]], -1).reshape(n, -1)
    scalars = np.stack([(view.log_size + 1.6) / 0.6, np.broadcast_to(definition, (n,))], -1)
    return np.concatenate([per_joint, scalars], 1).astype(np.float32)


def mirror_features(inputs: np.ndarray) -> np.ndarray:
    """features (N, 71) of the same person in a mirror: left and right change places."""
    out = inputs.copy()
    joints = inputs[:, :69].reshape(-1, 23, 3)[:, BODY23_FLIP]
    out[:, :69] = (joints * np.array([-1, 1, 1], np.float32)).reshape(-1, 69)
    return out


def path_features(view: Normalised, shape: tuple[int, int]) -> np.ndarray:
    """How a person moves across the shot: (G, T, 3) float32 from the views of G takes of T frames.

    x, y of each frame's box centre seen from the take's mean direction, in halves of the mean box, and 1 where there
    are keypoints (all 0 elsewhere).
    """
    seen = (view.confidence > 0).any(-1).reshape(shape)[..., None]
    count = np.maximum(seen.sum(1, keepdims=True), 1)
    direction = view.rotation[:, :, 2].reshape(*shape, 3)
    mean = (direction * seen).sum(1) / count[:, 0] + 1e-9 * np.array([0, 0, 1])
    to_mean = rotation_to(mean / np.linalg.norm(mean, axis=-1, keepdims=True))
    local = direction @ to_mean
    size = (np.exp(view.log_size).reshape(shape)[..., None] * seen).sum(1, keepdims=True) / count
    at = local[..., :2] / np.maximum(local[..., 2:], .1) / np.maximum(size, 1e-3)
    return np.concatenate([np.clip(at, -8, 8) * seen, seen], -1).astype(np.float32)
