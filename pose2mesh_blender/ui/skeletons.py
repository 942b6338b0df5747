"""Skeletons as lines and dots: what to draw, in pixels. No drawing here; see overlay.py."""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core.skeletons import BODY23, BODY23_BONES

PALETTE = ((0.95, 0.75, 0.1), (0.2, 0.75, 0.95), (0.55, 0.85, 0.3), (0.95, 0.45, 0.65), (0.7, 0.6, 0.95),
           (0.95, 0.55, 0.25))  # told apart by people with any colour vision, next to each other
LEFT = np.array([name.startswith("left") for name in BODY23])
DASH, GAP = 7.0, 5.0  # pixels
CORNERS = 10  # of a dot's outline
_CIRCLE = np.stack([np.cos(a := 2 * np.pi * np.arange(CORNERS) / CORNERS), np.sin(a)], 1)
_SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)


class Drawing(NamedTuple):
    """lines: (L, 2, 2) pixels with one colour each, (L, 4); triangles: (N, 3, 2) with (N, 4)."""

    lines: np.ndarray
    line_colours: np.ndarray
    triangles: np.ndarray
    triangle_colours: np.ndarray


def skeleton(points: np.ndarray, confidence: np.ndarray, by_hand: np.ndarray, colour: tuple[float, ...],
             scale: float) -> Drawing:
    """One person: left bones dashed, right and middle ones solid; the less certain, the fainter and smaller.

    points: (23, 2) pixels of the region, NaN where there is nothing; confidence: (23,) 0..1, 0 = muted; by_hand:
    (23,) drawn as squares; scale: of the interface.
    """
    seen = np.isfinite(points).all(1)
    lines: list[tuple] = []
    fans: list[tuple] = []
    line_alpha: list[float] = []
    fan_alpha: list[float] = []
    for a, b in BODY23_BONES:
        sure = min(confidence[a], confidence[b])
        if seen[a] and seen[b] and sure > 0:
            parts = _dashes(points[a], points[b], scale) if LEFT[a] and LEFT[b] else [(points[a], points[b])]
            lines += parts
            line_alpha += [0.25 + 0.7 * sure] * len(parts)
    for joint in np.flatnonzero(seen):
        sure = float(confidence[joint])
        shape = (_SQUARE if by_hand[joint] else _CIRCLE) * (2.0 + 2.5 * max(sure, 0.4)) * scale + points[joint]
        if sure >= 0.5:
            fans += [(shape[0], shape[i], shape[i + 1]) for i in range(1, len(shape) - 1)]
            fan_alpha += [0.3 + 0.7 * sure] * (len(shape) - 2)
        else:  # hollow
            lines += [(shape[i - 1], shape[i]) for i in range(len(shape))]
            line_alpha += [0.35 + 0.5 * sure] * len(shape)
    return Drawing(np.array(lines, np.float32).reshape(-1, 2, 2), _tinted(colour, line_alpha),
                   np.array(fans, np.float32).reshape(-1, 3, 2), _tinted(colour, fan_alpha))


def _dashes(a: np.ndarray, b: np.ndarray, scale: float) -> list[tuple[np.ndarray, np.ndarray]]:
    length = float(np.linalg.norm(b - a))
    step = (DASH + GAP) * scale
    if length < 1:
        return []
    starts = np.arange(0, length, step)
    ends = np.minimum(starts + DASH * scale, length)
    way = (b - a) / length
    return [(a + way * s, a + way * e) for s, e in zip(starts, ends)]


def _tinted(colour: tuple[float, ...], alpha: list[float]) -> np.ndarray:
    out = np.empty((len(alpha), 4), np.float32)
    out[:, :3], out[:, 3] = colour[:3], alpha
    return out
