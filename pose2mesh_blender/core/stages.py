"""What a person's motion was made from, so that a part of it can be made again. No `bpy` module use."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Stages(NamedTuple):
    """What becomes a motion by smoothing. Camera axes, metres; NaN where the person is absent."""

    lifted: np.ndarray  # (T, 71, 3) what the lifter says, root-relative, see network/joints.py
    pulled: np.ndarray  # (T, 71, 3) the same, pulled onto the keypoints
    path: np.ndarray  # (T, 3) H36M pelvis, where the keypoints put the smoothed joints


class Known(NamedTuple):
    """A take's person as it was solved."""

    keypoints: np.ndarray  # (T, 23, 3)
    by_hand: np.ndarray  # (T, 23) bool
    stages: Stages


def bits(values: np.ndarray) -> np.ndarray:
    """float32 as the numbers of their bits, so that NaN equals NaN."""
    return np.ascontiguousarray(values, np.float32).view(np.int32)
