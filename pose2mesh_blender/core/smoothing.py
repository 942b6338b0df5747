"""Smoothing over time without lag: a weighted, robust Whittaker smoother. No `bpy` module use.

Minimises  sum w (x - y)^2 + penalty * sum (second difference of x)^2  (Whittaker 1923; Eilers 2003). Residuals
reweight the data (Cauchy), so that a frame in which the lifter jumped is bridged, while a clap, which is many frames'
agreement, stays.
"""
from __future__ import annotations

import numpy as np


def strength(smooth: float, fps: float) -> float:
    """The penalty for a slider value 0..1 (0 = none): cut-off from 15 Hz down to about 1.5 Hz, at any frame rate."""
    if smooth <= 0:
        return 0.0
    return penalty_at(15.0 * 0.1 ** min(smooth, 1.0), fps)


def penalty_at(cutoff: float, fps: float) -> float:
    """The penalty that halves what moves at `cutoff` Hz."""
    omega = 2 * np.pi * cutoff / fps
    return float(1 / (2 - 2 * np.cos(min(omega, np.pi))) ** 2)


def smoothing_of(info: dict, person: int) -> float:
    """The slider value 0..1 that a take (its take.json as `info`) has for a person: the person's own, or the take's."""
    return float(info.get("smoothing", {}).get(str(person), info["solve"].get("smooth", 0.5)))


def is_free(info: dict, person: int) -> bool:
    """Whether a person's body shape may change over a take (its take.json as `info`): the person's own, or the take's.
    """
    return bool(info.get("free_shapes", {}).get(str(person), info["solve"].get("free_shape", False)))


def whittaker(values: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    """values (T, C, D), weights (T, C) -> smoothed (T, C, D). Linear in T; weight 0 interpolates."""
    count = len(values)
    if penalty <= 0 or count < 3:
        return values.copy()
    # Pentadiagonal W + penalty * D'D, factored as L diag(d) L' with two sub-diagonals e (first) and f (second).
    main = np.array([1.0, 5.0, *([6.0] * (count - 4)), 5.0, 1.0]) if count > 3 else np.array([1.0, 4.0, 1.0])
    near = np.array([-2.0, *([-4.0] * max(count - 3, 0)), -2.0])[:count - 1]
    d = np.empty(weights.shape)
    e, f = np.zeros(weights.shape), np.zeros(weights.shape)
    z = np.empty(values.shape)
    for t in range(count):
        d[t] = weights[t] + penalty * main[t] + 1e-12
        z[t] = weights[t][:, None] * values[t]
        if t >= 2:
            f[t] = penalty / d[t - 2]
            d[t] -= f[t] ** 2 * d[t - 2]
            z[t] -= f[t][:, None] * z[t - 2]
        if t >= 1:
            e[t] = (penalty * near[t - 1] - (f[t] * d[t - 2] * e[t - 1] if t >= 2 else 0)) / d[t - 1]
            d[t] -= e[t] ** 2 * d[t - 1]
            z[t] -= e[t][:, None] * z[t - 1]
    out = z / d[..., None]
    for t in range(count - 2, -1, -1):
        out[t] -= e[t + 1][:, None] * out[t + 1]
        if t + 2 < count:
            out[t] -= f[t + 2][:, None] * out[t + 2]
    return out


def smooth_track(values: np.ndarray, weights: np.ndarray, penalty: float, scale: float, rounds: int = 3) -> np.ndarray:
    """Robust smoothing of one unbroken piece.

    values (T, C, D); weights (T, C); scale: residual (same unit as values) at which trust in a sample halves.
    """
    if penalty <= 0:
        return values.copy()
    out, trust = values, weights
    for _ in range(rounds):
        out = whittaker(values, trust, penalty)
        trust = weights / (1 + np.square(np.linalg.norm(values - out, axis=-1) / scale))
    return whittaker(values, trust, penalty)


def pieces(present: np.ndarray, timestamps: np.ndarray, longest_gap: float = 0.25) -> list[slice]:
    """Unbroken stretches of (T,) bool `present`; holes up to `longest_gap` seconds are bridged."""
    rows = np.flatnonzero(present)
    if not len(rows):
        return []
    step = np.median(np.diff(timestamps)) if len(timestamps) > 1 else 0.0
    breaks = np.flatnonzero((np.diff(rows) > 1) & (np.diff(timestamps[rows]) > longest_gap + step))
    starts, ends = np.r_[rows[0], rows[breaks + 1]], np.r_[rows[breaks], rows[-1]]
    return [slice(int(a), int(b) + 1) for a, b in zip(starts, ends)]
