"""A take of any length and frame rate, cut into the windows that the temporal network sees. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

WINDOW, STRIDE = 48, 24  # frames
FASTEST = 33.0  # frames a second; faster takes are lifted as several slower ones, woven together


def over_windows(solve: Callable[[np.ndarray], tuple[np.ndarray, ...]], timestamps: np.ndarray
                 ) -> tuple[np.ndarray, ...]:
    """Runs `solve` on every window and blends the answers where windows overlap.

    solve: frame numbers (n,) of one window -> arrays (n, ...); timestamps: (T,) seconds. Windows begin at multiples of
    STRIDE (times the number of woven takes), so that a change of one frame reaches WINDOW frames at most. Returns
    arrays (T, ...) float32.
    """
    count = len(timestamps)
    ways = interleave(timestamps)
    total: list[np.ndarray] = []
    weight = np.zeros(count)
    for way in range(ways):
        rows = np.arange(way, count, ways)
        for start in range(0, max(len(rows) - STRIDE, 1), STRIDE):
            window = rows[start:start + WINDOW]
            hat = np.minimum(np.arange(1, len(window) + 1), np.arange(len(window), 0, -1)).astype(float)
            if start == 0:
                hat[:STRIDE] = STRIDE
            if start + WINDOW >= len(rows):
                hat[-STRIDE:] = STRIDE
            for i, answer in enumerate(solve(window)):
                if len(total) <= i:
                    total.append(np.zeros((count, *answer.shape[1:])))
                total[i][window] += answer * hat.reshape(-1, *[1] * (answer.ndim - 1))
            weight[window] += hat
    return tuple((t / weight.reshape(-1, *[1] * (t.ndim - 1))).astype(np.float32) for t in total)


def interleave(timestamps: np.ndarray) -> int:
    """How many slower takes a take is woven from."""
    if len(timestamps) < 2:
        return 1
    return max(1, round(1 / max(float(np.median(np.diff(timestamps))), 1e-3) / FASTEST + .2))


def reach(timestamps: np.ndarray) -> int:
    """How many frames away a changed keypoint can change the lifted joints."""
    return WINDOW * interleave(timestamps)
