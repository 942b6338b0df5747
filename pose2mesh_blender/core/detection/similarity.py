"""How alike two sets of COCO keypoints are. No `bpy` module use."""
from __future__ import annotations

import numpy as np

from ..skeletons import COCO17, flip_permutation

# COCO's own constants: how far annotators differ per keypoint, in units of sqrt(area)
SIGMAS = np.array([.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087,
                   .089, .089])
SEEN = 0.1
# left and right exchanged
MIRROR = flip_permutation(COCO17)


def extent(keypoints: np.ndarray) -> float:
    """Longer side in pixels of the box round the keypoints that are seen, at least 1."""
    seen = keypoints[keypoints[:, 2] > SEEN, :2]
    return max(1.0, float((seen.max(0) - seen.min(0)).max())) if len(seen) else 1.0


def area(keypoints: np.ndarray) -> float:
    """Pixels covered by a person of these keypoints: half of their box, which is not allowed to be a thin line."""
    seen = keypoints[keypoints[:, 2] > SEEN, :2]
    if not len(seen):
        return 1.0
    width, height = seen.max(0) - seen.min(0)
    longer = max(float(width), float(height), 1.0)
    return 0.5 * longer * max(float(min(width, height)), 0.35 * longer)


def keypoint_similarity(a: np.ndarray, b: np.ndarray, slack: float = 1.0) -> float:
    """Object keypoint similarity 0..1 of two (17+, 3) arrays over the keypoints seen in both; 0 with fewer than 3.

    slack widens the tolerance (2 = twice as far apart counts the same). Left and right are not told apart: detectors
    swap them, which does not make another person.
    """
    seen = (a[:17, 2] > SEEN) & (b[:17, 2] > SEEN)
    if seen.sum() < 3:
        return 0.0
    scale = 2.0 * max(area(a[:17]), area(b[:17])) * (2.0 * slack * SIGMAS) ** 2
    best = 0.0
    for order in (np.arange(17), MIRROR):
        both = seen if order[1] == 1 else (a[:17, 2] > SEEN) & (b[order, 2] > SEEN)
        if both.sum() < 3:
            continue
        squared = ((a[:17, :2] - b[order, :2]) ** 2).sum(1)
        best = max(best, float(np.exp(-squared[both] / scale[both]).mean()))
    return best


def box_overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes x0, y0, x1, y1."""
    inner = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if inner.min() <= 0:
        return 0.0
    common = float(inner.prod())
    return common / (float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - common)
