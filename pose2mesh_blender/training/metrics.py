"""Error measures. Lengths in the unit of the input unless a name says otherwise."""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

HIP_KNEE_ANKLE = np.array([[4, 5, 6], [1, 2, 3]])  # H36M: left, right
LONGEST_LAG = 8  # frames


# -- intervals --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Estimate:
    """The mean over independent clips, with half the width of its 95 % confidence interval."""

    mean: float
    half: float  # NaN where there are fewer than two clips
    by_clip: dict[int, float] = field(repr=False)  # mean of each

    @classmethod
    def of(cls, by_clip: dict[int, float]) -> Estimate:
        """Student's interval."""
        means, n = np.array(list(by_clip.values())), len(by_clip)
        half = student.ppf(.975, n - 1) * means.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
        return cls(float(means.mean()) if n else float("nan"), float(half), by_clip)


def over_clips(values: np.ndarray, clip: np.ndarray) -> Estimate:
    """values (N,), clip (N,) -> the mean of the clips' means, with Student's interval over clips.

    Frames of one clip resemble each other: counting them as independent would make the interval far too narrow.
    NaN values are left out.
    """
    return Estimate.of(clip_means(values, clip))


def clip_means(values: np.ndarray, clip: np.ndarray) -> dict[int, float]:
    """values (N,), clip (N,) -> mean per clip; NaN values are left out, and clips that have nothing else."""
    values, clip = np.asarray(values, np.float64).ravel(), np.asarray(clip).ravel()
    good = np.isfinite(values)
    return {int(c): float(values[good & (clip == c)].mean()) for c in np.unique(clip[good])}


# -- points -----------------------------------------------------------------------------------------------------------
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


def knee_flexion(h36m: np.ndarray) -> np.ndarray:
    """(..., 17, 3) H36M joints -> (..., 2) degrees by which the left and the right knee are bent; 0 = straight."""
    hip, knee, ankle = (h36m[..., HIP_KNEE_ANKLE[:, i], :] for i in range(3))
    thigh, shin = knee - hip, ankle - knee
    cos = (thigh * shin).sum(-1) / np.maximum(np.linalg.norm(thigh, axis=-1) * np.linalg.norm(shin, axis=-1), 1e-9)
    return np.degrees(np.arccos(np.clip(cos, -1, 1)))


# -- motion -----------------------------------------------------------------------------------------------------------
def acceleration(points: np.ndarray, fps: float) -> np.ndarray:
    """(T, ..., 3) -> (T-2, ..., 3) second differences as they would be at 30 frames a second."""
    return np.diff(points, 2, axis=0) * (fps / 30) ** 2


def speed_lag(predicted: np.ndarray, truth: np.ndarray, longest: int = LONGEST_LAG) -> float:
    """Speeds (T, C) of several points -> frames by which the predicted ones come late (negative: early).

    The peak of the normalised cross-correlation, to a fraction of a frame by a parabola; each point votes with the
    energy of its movement. NaN where nothing moves.
    """
    count = len(truth)
    scores = []
    for shift in range(-longest, longest + 1):
        a = predicted[max(0, shift):count + min(0, shift)]
        b = truth[max(0, -shift):count - max(0, shift)]
        a, b = a - a.mean(0), b - b.mean(0)
        norm = np.sqrt((a * a).sum() * (b * b).sum())
        scores.append((a * b).sum() / norm if norm > 0 else np.nan)
    if not np.isfinite(scores).all():
        return float("nan")
    best = int(np.argmax(scores))
    if not 0 < best < 2 * longest:
        return float(best - longest)
    left, middle, right = scores[best - 1:best + 2]
    return float(best - longest + .5 * (left - right) / min(left - 2 * middle + right, -1e-12))
