"""What PoseNet is fed. No `bpy` module use."""
from __future__ import annotations

import numpy as np

from ..camera import Normalised

WIDTH = 23 * 3 + 2


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
