"""A small software renderer: textured triangles, painter's algorithm, OpenCV (for the shell). No `bpy` module use.

Every face gets one colour: the texture at its centre times a Lambert shade. Faces are sorted by depth over all people
and filled back to front, which is right for bodies that do not pass through one another.
"""
from __future__ import annotations

import cv2
import numpy as np

from .body import Body

NEAR = 0.05  # metres
_SUB = 4  # fillConvexPoly's fractional bits
_LIGHT = np.array([-0.35, -0.65, -0.68], np.float32)  # towards the light, camera axes: from the upper left front
_SKIN = np.array([176, 140, 122], np.float32)


def face_colours(body: Body, texture: np.ndarray | None) -> np.ndarray:
    """(F, 3) float32 RGB 0..255: the texture (H, W, 3) uint8 RGB, smoothed, at the centre of every face."""
    if texture is None:
        return np.broadcast_to(_SKIN, (len(body.faces), 3)).copy()
    height, width = texture.shape[:2]
    smooth = cv2.blur(texture, (max(1, width // 128), max(1, height // 128)))
    centre = body.vt[body.ft].mean(1)
    x = np.clip((centre[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - centre[:, 1]) * height).astype(int), 0, height - 1)
    return smooth[y, x].astype(np.float32)


def paint(image: np.ndarray, people: list[np.ndarray], faces: np.ndarray, colours: np.ndarray,
          intrinsics: np.ndarray) -> np.ndarray:
    """Fills the meshes into `image` (H, W, 3) uint8 RGB in place and returns the (H, W) uint8 mask of what they cover.

    people: (V, 3) vertices in the camera's space (x right, y down, z forward, metres), each with the same faces (F, 3).
    """
    height, width = image.shape[:2]
    polygons: list[np.ndarray] = []
    depths: list[np.ndarray] = []
    shades: list[np.ndarray] = []
    for vertices in people:
        found = _visible(vertices.astype(np.float32), faces, colours, intrinsics, width, height)
        for store, values in zip((polygons, depths, shades), found):
            store.append(values)
    if not polygons:
        return np.zeros((height, width), np.uint8)
    order = np.argsort(-np.concatenate(depths), kind="stable")
    points = np.ascontiguousarray(np.concatenate(polygons)[order])
    rgba = np.pad(np.concatenate(shades)[order], ((0, 0), (0, 1)), constant_values=255).tolist()
    canvas = np.dstack([image, np.zeros((height, width), np.uint8)])  # the mask is filled in the same stroke
    fill = cv2.fillConvexPoly
    for triangle, colour in zip(points, rgba):
        fill(canvas, triangle, colour, 8, _SUB)
    image[...] = canvas[..., :3]
    return np.ascontiguousarray(canvas[..., 3])


def _visible(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, intrinsics: np.ndarray, width: int,
             height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners (N, 3, 2) in fixed-point pixels, depths (N,) and colours (N, 3) of the faces that look at the camera."""
    z = np.maximum(vertices[:, 2], NEAR)
    pixels = vertices[:, :2] / z[:, None] * np.diag(intrinsics)[:2].astype(np.float32) \
        + intrinsics[:2, 2].astype(np.float32)
    corners = pixels[faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    turn = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]  # negative where SMPL's faces show their outside
    inside = ((corners.max(1) > 0) & (corners.min(1) < (width, height))).all(1)
    keep = np.flatnonzero((turn < 0) & inside & (vertices[faces, 2].min(1) > NEAR))
    p = vertices[faces[keep]]
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    shade = 0.38 + 0.72 * np.maximum(normal @ (_LIGHT / np.linalg.norm(_LIGHT)), 0)
    colour = np.clip(colours[keep] * shade[:, None], 0, 255)
    fixed = np.clip(corners[keep] * (1 << _SUB), -(1 << 24), 1 << 24).astype(np.int32)
    return fixed, p[:, :, 2].mean(1), colour


def draw_lines(image: np.ndarray, starts: np.ndarray, ends: np.ndarray, intrinsics: np.ndarray,
               colour: tuple[int, int, int]) -> None:
    """Straight lines between points (N, 3) in camera space, cut at the near plane, into `image` in place."""
    for start, end in zip(starts.astype(np.float64), ends.astype(np.float64)):
        if max(start[2], end[2]) <= NEAR:
            continue
        if min(start[2], end[2]) < NEAR:
            cut = start + (end - start) * (NEAR - start[2]) / (end[2] - start[2])
            start, end = (cut, end) if start[2] < NEAR else (start, cut)
        ends_2d = [(p[:2] / p[2] * np.diag(intrinsics)[:2] + intrinsics[:2, 2]) for p in (start, end)]
        limit = 1 << 14
        if all(np.abs(p).max() < limit for p in ends_2d):
            first, second = (tuple(int(v) for v in np.round(p * 16)) for p in ends_2d)
            cv2.line(image, first, second, colour, 1, cv2.LINE_AA, 4)
