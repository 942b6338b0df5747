"""Hands: 21 landmarks from a region that elbow and wrist give. No `bpy` module use.

Below some 30 pixels of hand nothing usable comes out; the presence gate says so.
"""
from __future__ import annotations

import math

import numpy as np

from ..assets import asset_path
from ..imaging import crop_square, to_image
from .sessions import OnnxNetwork

SIZE = 224
PRESENT = 0.5
_PALM = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]

Region = tuple[tuple[float, float], float, float]  # centre in pixels, side in pixels, rotation in radians


def region_from_arm(keypoints: np.ndarray, side: str) -> Region:
    """The square in front of the wrist. keypoints: COCO's 17, (17, 3); side: "left" | "right" """
    elbow, wrist = (keypoints[7, :2], keypoints[9, :2]) if side == "left" else (keypoints[8, :2], keypoints[10, :2])
    torso = float(np.hypot(*(keypoints[5, :2] + keypoints[6, :2] - keypoints[11, :2] - keypoints[12, :2]))) / 2
    arm = wrist - elbow
    length = float(np.hypot(*arm))
    unit = max(length, 0.25 * torso, 1.0)
    direction = arm / max(length, 1e-6)
    centre = wrist + 0.3 * unit * direction
    return (float(centre[0]), float(centre[1])), 1.3 * unit, math.atan2(direction[0], -direction[1])


def region_from_landmarks(points: np.ndarray) -> Region:
    """The square round a hand that was found before, (21, 2): fingers up."""
    direction = ((points[5] + points[13]) / 2 + points[9]) / 2 - points[0]
    rotation = math.atan2(direction[0], -direction[1])
    cos, sin = math.cos(rotation), math.sin(rotation)
    to_crop = np.array([[cos, sin], [-sin, cos]])
    middle = points[_PALM].mean(0)
    turned = (points[_PALM] - middle) @ to_crop.T
    low, high = turned.min(0), turned.max(0)
    centre = ((low + high) / 2 - [0.0, 0.1 * (high[1] - low[1])]) @ to_crop + middle
    return (float(centre[0]), float(centre[1])), 2.0 * float((high - low).max()), rotation


class HandLandmarks:
    """The hand network, asked twice: the first answer places the region of the second."""

    def __init__(self, device: str = "auto") -> None:
        self._network = OnnxNetwork(asset_path("detectors/hand_landmark_full.onnx"), device)

    def hand(self, image: np.ndarray, keypoints: np.ndarray, side: str) -> np.ndarray | None:
        """Landmarks (21, 3): x, y in pixels, presence 0..1; None when no hand is seen. side: "left" | "right" """
        square = region_from_arm(keypoints, side)
        points, presence = self._once(image, square)
        if presence < 0.05:  # far from any hand: a second look does not help
            return None
        points, presence = self._once(image, region_from_landmarks(points))
        if presence <= PRESENT:
            return None
        return np.column_stack([points, np.full(21, presence)]).astype(np.float32)

    def _once(self, image: np.ndarray, square: Region) -> tuple[np.ndarray, float]:
        crop, affine = crop_square(image, *square, SIZE)
        landmarks, presence, _ = self._network.run((crop * np.float32(1 / 255))[None])
        return to_image(landmarks.reshape(21, 3)[:, :2].astype(np.float64), affine), float(presence.ravel()[0])
