"""BlazePose: the feet that MoveNet does not see, and a second opinion on the rest. No `bpy` module use."""
from __future__ import annotations

import math

import numpy as np

from ..assets import asset_path
from ..imaging import crop_square, to_image
from .sessions import OnnxNetwork

SIZE = 256
LEFT = {"hip": 23, "knee": 25, "ankle": 27, "heel": 29, "toe": 31}  # the right ones follow each
PRESENT = 0.5
COCO = np.array([0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])  # rows of COCO's 17
_UPRIGHT = 0.2  # radians; below this the crop is not turned, which is faster and as good


def region(keypoints: np.ndarray) -> tuple[tuple[float, float], float, float] | None:
    """(centre, side, rotation) of the square round a person, hips in the middle and shoulders up; None without a trunk.

    keypoints: COCO's 17, (17, 3).
    """
    if keypoints[[5, 6, 11, 12], 2].min() < 0.05:
        return None
    hip, shoulder = keypoints[11:13, :2].mean(0), keypoints[5:7, :2].mean(0)
    up = shoulder - hip
    length = float(np.hypot(*up)) + 1e-6
    reach = np.hypot(*(keypoints[keypoints[:, 2] > 0.2, :2] - hip).T)
    radius = 1.1 * max(float(reach.max(initial=0.0)), 1.2 * length)
    rotation = math.atan2(up[0], -up[1])
    return (float(hip[0]), float(hip[1])), 2.5 * radius, rotation if abs(rotation) > _UPRIGHT else 0.0


class BlazePose:
    """Landmarks of one person, to be asked for with the region that another detector's keypoints give."""

    def __init__(self, device: str = "auto") -> None:
        self._network = OnnxNetwork(asset_path("detectors/blazepose_full.onnx"), device)

    def landmarks(self, image: np.ndarray, keypoints: np.ndarray) -> np.ndarray | None:
        """BlazePose's first 33 landmarks, (33, 3): x, y in pixels, visibility 0..1; None when nobody is there.

        keypoints: COCO's 17 of the person, (17, 3).
        """
        square = region(keypoints)
        if square is None:
            return None
        crop, affine = crop_square(image, *square, SIZE)
        raw, presence, heatmap = self._network.run((crop * np.float32(1 / 255))[None])
        if float(presence.ravel()[0]) < PRESENT:
            return None
        raw = raw.reshape(39, 5)[:33].astype(np.float64)
        points = _refined(raw[:, :2], heatmap[0])
        visibility = 1 / (1 + np.exp(-np.clip(raw[:, 3:5], -50, 50)))
        return np.column_stack([to_image(points, affine), visibility.min(1)])


def _refined(points: np.ndarray, heatmap: np.ndarray, reach: int = 3, least: float = 0.5) -> np.ndarray:
    """Legs moved to the heatmap's centre of mass round them, where it is confident. points: pixels of the crop."""
    rows, columns = heatmap.shape[:2]
    out = points.copy()
    for index in range(23, 33):
        x, y = int(points[index, 0] * columns / SIZE), int(points[index, 1] * rows / SIZE)
        if not (0 <= x < columns and 0 <= y < rows):
            continue
        left, top = max(0, x - reach), max(0, y - reach)
        window = heatmap[top:y + reach + 1, left:x + reach + 1, index]
        if window.max() < math.log(least / (1 - least)):
            continue
        window = 1 / (1 + np.exp(-window))
        total = float(window.sum())
        out[index, 0] = (window.sum(0) @ np.arange(left, left + window.shape[1])) / total * SIZE / columns
        out[index, 1] = (window.sum(1) @ np.arange(top, top + window.shape[0])) / total * SIZE / rows
    return out


def feet(keypoints: np.ndarray, landmarks: np.ndarray | None, tolerance: float = 0.08) -> np.ndarray:
    """The six foot keypoints of body23, (6, 3), taken from BlazePose where it agrees with `keypoints`.

    BlazePose may lock on to a neighbour or swap the legs: a foot counts only when its ankle lies within `tolerance` of
    the person's size from the other detector's ankle. When both legs are clearly swapped they are swapped back. The
    small toe is absent (NaN, confidence 0): BlazePose has one toe, which stands for the big one.
    """
    out = np.full((6, 3), np.nan, np.float32)
    out[:, 2] = 0.0
    if landmarks is None:
        return out
    seen = keypoints[keypoints[:, 2] > 0.1, :2]
    if len(seen) < 4:
        return out
    size = float((seen.max(0) - seen.min(0)).max())
    hips = np.hypot(*(landmarks[23:25, :2].mean(0) - keypoints[11:13, :2].mean(0)))
    if hips > 1.5 * tolerance * size:
        return out
    legs = landmarks[25:29, :2]
    ours = keypoints[13:17, :2]
    straight, crossed = (np.hypot(*(ours - legs[order]).T).sum() for order in ([0, 1, 2, 3], [1, 0, 3, 2]))
    swapped = crossed < 0.5 * straight
    for side in (0, 1):
        source = 1 - side if swapped else side
        ankle = LEFT["ankle"] + source
        distance = np.hypot(*(landmarks[ankle, :2] - keypoints[15 + side, :2]))
        if distance > tolerance * size:
            continue
        trust = float(landmarks[ankle, 2]) * (1 - 0.5 * distance / (tolerance * size))
        for slot, name in ((0, "toe"), (2, "heel")):
            point = landmarks[LEFT[name] + source]
            out[3 * side + slot] = point[0], point[1], point[2] * trust
    return out


def fused(keypoints: np.ndarray, landmarks: np.ndarray, tolerance: float = 0.05) -> np.ndarray:
    """COCO's 17 keypoints drawn up to half-way to BlazePose's, the more so the better both agree. (17, 3) float32.

    Two networks err in different ways: their mean trembles a third less from frame to frame. Hips stay, BlazePose means
    another point by them. `tolerance` (share of the person's size) is where a disagreement ends the mixing. The face
    alone is taken over from BlazePose where the other detector is unsure of it and the shoulders agree: MoveNet puts
    the face of somebody whose face is blurred or covered on the chest.
    """
    out = keypoints.astype(np.float32)
    seen = keypoints[keypoints[:, 2] > 0.1, :2]
    if len(seen) < 4:
        return out
    size = float((seen.max(0) - seen.min(0)).max())
    other = landmarks[COCO]
    apart = np.hypot(*(other[:, :2] - keypoints[:, :2]).T) / size
    weight = 0.5 * other[:, 2] * np.clip(1 - (apart / tolerance) ** 2, 0, 1)
    weight[11:13] = 0
    unsure = np.clip((0.65 - keypoints[:5, 2].mean()) / 0.1, 0, 1)
    differs = np.clip((np.median(apart[:5]) - 0.04) / 0.03, 0, 1)
    if apart[5:7].max() < tolerance and apart[11:13].max() < tolerance:
        weight[:5] = np.maximum(weight[:5], unsure * differs * other[:5, 2])
    out[:, :2] += weight[:, None] * (other[:, :2] - keypoints[:, :2])
    return out
