"""Stretches of standing still."""
from __future__ import annotations

import numpy as np


def standing(still: np.ndarray, shortest: int) -> np.ndarray:
    """(T, ...) bool -> the same without stretches over time shorter than `shortest` frames."""
    out = still.copy()
    flat = out.reshape(len(still), -1)
    for column in flat.T:
        edges = np.flatnonzero(np.diff(np.r_[False, column, False].astype(int)))
        for first, last in zip(edges[::2], edges[1::2]):
            if last - first < shortest:
                column[first:last] = False
    return out
