"""MoveNet: everybody in an image, coarsely (MultiPose), and one person in a crop, finely (Thunder, Lightning).

No `bpy` module use. Keypoints are COCO's 17 as (17, 3) float32: x, y in pixels of the image, score 0..1. Boxes are
x0, y0, x1, y1 in pixels.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..assets import asset_path
from ..imaging import crop_square, resize_area, to_image
from .sessions import OnnxNetwork

CROP_FACTOR = 1.1  # crop side over box side; 1.25 and 1.5 were worse on 46 annotated people
SEEN = 0.1  # keypoints below this score do not count for a box


@dataclass
class Candidate:
    """One person of MultiPose."""
    score: float
    keypoints: np.ndarray
    box: np.ndarray


def keypoint_box(keypoints: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """The box round the seen keypoints with a margin for head, hands and feet; `fallback` below 4 of them."""
    seen = keypoints[keypoints[:, 2] > SEEN, :2].astype(np.float64)
    if len(seen) < 4:
        return fallback
    low, high = seen.min(0), seen.max(0)
    extent = float((high - low).max())
    return np.array([low[0] - 0.1 * extent, low[1] - 0.12 * extent, high[0] + 0.1 * extent, high[1] + 0.08 * extent])


class MultiPose:
    """Up to six people of a whole image."""

    def __init__(self, device: str = "auto") -> None:
        self._network = OnnxNetwork(asset_path("detectors/movenet_multipose.onnx"), device)

    def detect(self, image: np.ndarray, size: int = 256, least: float = 0.2) -> list[Candidate]:
        """image: (H, W, 3) uint8 RGB; size: pixels of the long side inside the network (256: large people, 512:
        people of a fifth of the picture, 768: smaller ones). Best first, those above the score `least`.
        """
        height, width = image.shape[:2]
        scale = size / max(height, width)
        inner_h, inner_w = max(1, round(height * scale)), max(1, round(width * scale))
        canvas = np.zeros((1, -(-inner_h // 32) * 32, -(-inner_w // 32) * 32, 3), np.int32)
        canvas[0, :inner_h, :inner_w] = resize_area(image, inner_w, inner_h)
        to_pixels = np.array([canvas.shape[2] * width / inner_w, canvas.shape[1] * height / inner_h])
        found = []
        for row in self._network.run(canvas)[0][0]:
            if row[55] < least:
                continue
            points = row[:51].reshape(17, 3)
            keypoints = np.column_stack([points[:, 1::-1] * to_pixels, points[:, 2]]).astype(np.float32)
            box = np.concatenate([row[[52, 51]] * to_pixels, row[[54, 53]] * to_pixels])
            found.append(Candidate(float(row[55]), keypoints, keypoint_box(keypoints, box)))
        return sorted(found, key=lambda candidate: -candidate.score)


class SinglePose:
    """The person nearest the middle of a box: "thunder" (256 pixels) or "lightning" (192, four times as fast)."""

    def __init__(self, name: str, device: str = "auto") -> None:
        self._network = OnnxNetwork(asset_path(f"detectors/movenet_{name}.onnx"), device)
        self._size = int(self._network.input.shape[1])

    def keypoints(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        side = CROP_FACTOR * float(max(box[2] - box[0], box[3] - box[1], 2.0))
        crop, affine = crop_square(image, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), side, 0.0, self._size)
        points = self._network.run(crop[None].astype(np.int32))[0][0, 0]
        return np.column_stack([to_image(points[:, 1::-1] * self._size, affine), points[:, 2]]).astype(np.float32)
