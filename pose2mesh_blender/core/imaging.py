"""Square crops and resizing of frames, without OpenCV. No `bpy` module use.

Images are (H, W, 3) uint8 RGB, x right, y down, the centre of the top-left pixel at (0, 0) for sampling.
"""
from __future__ import annotations

import math

import av
import numpy as np

_RED_BLUE = np.uint32(0x00FF00FF)
_ROUND = np.uint32(0x00800080)


def square_to_image(centre: tuple[float, float], side: float, rotation: float, size: int) -> np.ndarray:
    """The affine of a square region: image_xy = A @ (crop_x, crop_y, 1).

    centre, side: pixels of the image; rotation: radians, clockwise on the screen; size: pixels of the crop's side.
    Returns A, (2, 3) float64.
    """
    scale = side / size
    cos, sin = math.cos(rotation) * scale, math.sin(rotation) * scale
    half = size / 2
    return np.array([[cos, -sin, centre[0] - (cos - sin) * half], [sin, cos, centre[1] - (sin + cos) * half]])


def to_image(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Points (..., 2) of the crop in pixels of the image."""
    return points @ affine[:, :2].T + affine[:, 2]


def crop_square(image: np.ndarray, centre: tuple[float, float], side: float, rotation: float,
                size: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples a square region bilinearly, black outside the image.

    Returns the crop, (size, size, 3) uint8, and the affine of `square_to_image`.
    """
    affine = square_to_image(centre, side, rotation, size)
    steps = np.arange(size)
    if rotation == 0.0:
        x = (affine[0, 0] * steps + affine[0, 2])[None, :]
        y = (affine[1, 1] * steps + affine[1, 2])[:, None]
    else:
        x = affine[0, 0] * steps[None, :] + affine[0, 1] * steps[:, None] + affine[0, 2]
        y = affine[1, 0] * steps[None, :] + affine[1, 1] * steps[:, None] + affine[1, 2]
    return _sample(image, x, y), affine


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear values at (x, y), which broadcast to the result's height and width; 8-bit weights."""
    height, width = image.shape[:2]
    x0, y0 = np.floor(x), np.floor(y)
    # Rows of 3 * size channel values, not pixels of 3: long inner loops are several times as fast.
    weight_x = np.repeat(np.rint((x - x0) * 256).astype(np.uint16), 3, axis=1)
    weight_y = np.rint((y - y0) * 256).astype(np.uint16)
    if weight_y.shape[1] > 1:
        weight_y = np.repeat(weight_y, 3, axis=1)
    # Far outside is as black as just outside; without the limit a wild region would overflow int32.
    x0 = np.clip(x0, -2, width).astype(np.int32)
    y0 = np.clip(y0, -2, height).astype(np.int32)
    pixels = np.ascontiguousarray(image).reshape(-1, 3)
    top_and_bottom = []
    for dy in (0, 1):
        row, in_y = np.clip(y0 + dy, 0, height - 1) * width, (y0 + dy >= 0) & (y0 + dy < height)
        values = []
        for dx in (0, 1):
            column, in_x = np.clip(x0 + dx, 0, width - 1), (x0 + dx >= 0) & (x0 + dx < width)
            value = pixels.take(row + column, axis=0)
            if not (in_x.all() and in_y.all()):
                value *= (in_x & in_y)[..., None]
            values.append(value.reshape(len(value), -1))
        top_and_bottom.append(_blend(values[0], values[1], weight_x))
    return _blend(top_and_bottom[0], top_and_bottom[1], weight_y).astype(np.uint8).reshape(len(y), -1, 3)


def _blend(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """a + (b - a) * weight / 256, rounded, in uint16: 255 * 256 + 128 just fits."""
    return (a * (np.uint16(256) - weight) + b * weight + np.uint16(128)) >> np.uint16(8)


def resize_area(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The image at `width` x `height`, each new pixel the mean of the area it covers (when shrinking)."""
    if image.shape[:2] == (height, width):
        return image
    frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
    return frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
