"""What MeshNet has to beat: ridge regression from joints to vertices, in the body's frame."""
from __future__ import annotations

import numpy as np

from ..core.body import Body
from ..core.network import joints as J
from .synthetic import Motion, Sampler

SAMPLES, PENALTY = 3000, 1e-3


def body_frames(joints: np.ndarray) -> np.ndarray:
    """(N, 71, 3) -> (N, 3, 3): columns left, up, front of the pelvis in the joints' axes."""

    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)

    smpl = joints[:, J.SMPL]
    up = unit(smpl[:, 6] + smpl[:, 9] - 2 * smpl[:, 0])
    left = smpl[:, 1] - smpl[:, 2]
    left = unit(left - (left * up).sum(-1, keepdims=True) * up)
    return np.stack([left, up, np.cross(left, up)], -1)


class Ridge:
    """A linear map from the 71 points to the 6890 vertices, both turned into the body's frame."""

    def __init__(self, body: Body, motion: Motion, seed: int = 0) -> None:
        """Fits on `SAMPLES` true poses of the training subjects."""
        b = Sampler(body, motion, seed, extra=np.arange(6890)).batch(SAMPLES, clean=True)
        frames = body_frames(b.joints)
        inputs, targets = self._inputs(b.joints @ frames), (b.extra @ frames).reshape(SAMPLES, -1)
        lhs = inputs.T @ inputs + PENALTY * SAMPLES * np.diag(inputs.var(0) + 1e-6)
        self._weights = np.linalg.solve(lhs, inputs.T @ targets).astype(np.float32)

    @staticmethod
    def _inputs(local: np.ndarray) -> np.ndarray:
        return np.concatenate([local.reshape(len(local), -1), np.ones((len(local), 1))], 1)

    def __call__(self, joints: np.ndarray) -> np.ndarray:
        """joints (N, 71, 3) -> vertices (N, 6890, 3), same axes."""
        frames = body_frames(joints)
        local = self._inputs(joints @ frames) @ self._weights
        return local.reshape(len(joints), 6890, 3) @ frames.transpose(0, 2, 1)
