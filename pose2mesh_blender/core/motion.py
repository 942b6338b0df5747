"""How one person moves over a take, as the solve finds it. No `bpy` module use."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .contacts import Footing
from .stages import Stages

CHUNK = 16  # frames meshed at once: 16 x 6890 vertices, 1.3 MB


@dataclass(frozen=True)
class Motion:
    """One person over a take. Camera axes, metres; rows without a person hold NaN."""

    joints: np.ndarray  # (T, 71, 3) root-relative, see network/joints.py
    shape: np.ndarray  # (K,) body shape, of the take or its mean; (T, K) when it is free
    scale: float  # factor on body and path that gives the wanted height
    translation: np.ndarray  # (T, 3) H36M pelvis
    valid: np.ndarray  # (T,) bool
    stages: Stages
    footing: Footing | None = None  # None when the person was never seen to stand
    legs: np.ndarray | None = None  # (T, 2, 3, 3, 3) what turns thigh, shin and foot, left and right, to hold the feet

    def part(self, start: int, stop: int) -> Motion:
        """Rows start..stop - 1, with free feet."""
        rows = slice(start, stop)
        return Motion(self.joints[rows], self.shape if self.shape.ndim == 1 else self.shape[rows], self.scale,
                      self.translation[rows], self.valid[rows], Stages(*(stage[rows] for stage in self.stages)))


def shapes_at(shape: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(K,) or (T, K) -> (N, K) of these rows (N,)."""
    return np.tile(shape, (len(rows), 1)) if shape.ndim == 1 else shape[rows]


def one_shape(shape: np.ndarray) -> np.ndarray:
    """(K,) or (T, K) -> (K,), the mean."""
    return shape if shape.ndim == 1 else shape.mean(0)


def chunks(rows: np.ndarray) -> list[np.ndarray]:
    """rows (N,) in parts of at most CHUNK."""
    return [rows[i:i + CHUNK] for i in range(0, len(rows), CHUNK)]
