"""Error measures. Lengths in the unit of the input."""
from __future__ import annotations

import numpy as np


def procrustes_align(predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(N, J, 3) -> predicted moved, rotated and scaled onto truth by least squares (Umeyama 1991).

    weights: (N, J), 0 leaves a point out of the fit.
    """
    w = np.ones(predicted.shape[:2]) if weights is None else weights
    w = (w / np.maximum(w.sum(1, keepdims=True), 1e-9))[..., None]
    mp, mt = (predicted * w).sum(1, keepdims=True), (truth * w).sum(1, keepdims=True)
    p, t = predicted - mp, truth - mt
    u, s, vt = np.linalg.svd((p * w).transpose(0, 2, 1) @ t)
    sign = np.sign(np.linalg.det(u @ vt))
    u[:, :, 2] *= sign[:, None]
    s[:, 2] *= sign
    scale = s.sum(1) / np.maximum((p * p * w).sum((1, 2)), 1e-12)
    return scale[:, None, None] * (p @ (u @ vt)) + mt


def procrustes_error(predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """(N, J, 3) -> (N, J) distances after `procrustes_align`."""
    return np.linalg.norm(procrustes_align(predicted, truth, weights) - truth, axis=-1)
