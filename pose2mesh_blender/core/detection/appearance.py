"""What a person wears, as a small colour histogram: tells two people apart when they cross. No `bpy` module use."""
from __future__ import annotations

import numpy as np

_ALONG, _ACROSS = np.meshgrid(np.linspace(0.1, 0.9, 10), np.linspace(-0.35, 0.35, 6), indexing="ij")


def clothes(image: np.ndarray, keypoints: np.ndarray) -> np.ndarray | None:
    """Square roots of two colour histograms (trunk, thighs), (2, 64) float32; None where the trunk is not seen.

    The dot product of two rows is their Bhattacharyya coefficient: 1 = same colours.
    """
    if keypoints[[5, 6, 11, 12], 2].min() < 0.15:
        return None
    shoulder, hip = keypoints[5:7, :2].mean(0), keypoints[11:13, :2].mean(0)
    width = np.hypot(*(keypoints[5, :2] - keypoints[6, :2]))
    trunk = _histogram(image, shoulder, hip, width)
    thighs = [_histogram(image, keypoints[11 + side, :2], keypoints[13 + side, :2], 0.35 * width)
              for side in (0, 1) if keypoints[13 + side, 2] > 0.15]
    legs = np.mean(thighs, axis=0) if thighs else np.zeros(64)
    return np.sqrt(np.stack([trunk, legs])).astype(np.float32)


def _histogram(image: np.ndarray, start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
    """4 x 4 x 4 colours of 60 points in the rectangle from start to end (pixels). Sums to 1."""
    along = end - start
    length = float(np.hypot(*along)) + 1e-6
    across = np.array([-along[1], along[0]]) / length * max(width, 0.25 * length)
    x = start[0] + _ALONG * along[0] + _ACROSS * across[0]
    y = start[1] + _ALONG * along[1] + _ACROSS * across[1]
    inside = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    if not inside.any():
        return np.zeros(64)
    colours = image[y[inside].astype(int), x[inside].astype(int)] >> 6
    index = colours[:, 0].astype(int) * 16 + colours[:, 1].astype(int) * 4 + colours[:, 2]
    return np.bincount(index, minlength=64) / len(index)


def likeness(a: np.ndarray | None, b: np.ndarray | None) -> float | None:
    """0..1 of two results of `clothes`; None when either is missing."""
    if a is None or b is None:
        return None
    rows = (a * b).sum(1)
    there = (a.sum(1) > 0) & (b.sum(1) > 0)
    return float(rows[there].mean()) if there.any() else None
