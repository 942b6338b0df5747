"""Draws the default texture in SMPL's UV layout: a person in T-shirt, trousers and trainers.

    python -m pose2mesh_blender.training.build_texture

Every texel is painted by the place on the T-posed body that it covers, so nothing breaks at the seams of the layout.
Texels outside the islands repeat the nearest painted one: no dark lines however the renderer filters.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..core.assets import models_dir
from ..core.body import Body, load_body

NAME = "texture_default.jpg"
SIZE = 1024
SUPERSAMPLE = 2
QUALITY = 92

SKIN, LIP, BLUSH = (0.83, 0.62, 0.50), (0.71, 0.40, 0.36), (0.86, 0.50, 0.42)
HAIR, IRIS, SCLERA = (0.19, 0.125, 0.085), (0.27, 0.40, 0.44), (0.93, 0.91, 0.89)
CREAM, TEAL, CORAL = (0.87, 0.85, 0.80), (0.12, 0.38, 0.42), (0.87, 0.42, 0.32)
DENIM, STITCH = (0.17, 0.22, 0.33), (0.62, 0.50, 0.34)
SHOE, SOLE = (0.21, 0.22, 0.25), (0.90, 0.89, 0.86)
SHIRT_HEM, TROUSER_HEM, SOLE_TOP = 0.085, -0.735, -0.812  # heights on the template, metres
SLEEVE_END = 0.315


def draw(body: Body, size: int = SIZE) -> np.ndarray:
    """The texture (size, size, 3) uint8 RGB, first row at the top (v = 1)."""
    big = size * SUPERSAMPLE
    face, bary = rasterise(body, big)
    rows, columns = np.nonzero(face >= 0)
    corners, weight = body.faces[face[rows, columns]], bary[rows, columns][..., None]
    normals = vertex_normals(body)
    hollow = _hollowness(body, normals)
    place = (body.v_template[corners] * weight).sum(1)
    normal = (normals[corners] * weight).sum(1)
    colour = np.zeros((big, big, 3), np.float32)
    colour[rows, columns] = _paint(place, normal, (hollow[corners] * weight[..., 0]).sum(1), body.J_template)
    cover = (face >= 0).astype(np.float32)
    # Average what is painted of each block, then fill the rest from its nearest neighbour.
    blocks = (size, SUPERSAMPLE, size, SUPERSAMPLE)
    count = cover.reshape(blocks).sum((1, 3))
    small = colour.reshape(*blocks, 3).sum((1, 3)) / np.maximum(count, 1)[..., None]
    return (np.clip(fill(small, count > 0), 0, 1) * 255 + 0.5).astype(np.uint8)


def _paint(p: np.ndarray, n: np.ndarray, hollow: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Colours (N, 3) 0..1 for places p (N, 3) with normals n on the template."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    q = np.stack([x, y, z], 1)  # both sides alike
    face = step(z - 0.055, 0.02) * step(y - 0.60, 0.02)

    c = np.tile(np.float32(SKIN), (len(p), 1))
    c *= (1 + 0.035 * noise(p, 25, 1) + 0.02 * noise(p, 110, 2))[:, None]
    for centre, radius, amount in (((0.045, 0.694, 0.095), 0.026, 0.35), ((0, 0.690, 0.122), 0.014, 0.28),
                                   ((0.078, 0.715, 0.0), 0.03, 0.25)):  # fmt: skip
        c = mix(c, BLUSH, amount * np.exp(-(((q - centre) / radius) ** 2).sum(1)))
    for finger_joint in (20, 22):
        near = np.exp(-(((q - joints[finger_joint]) / 0.05) ** 2).sum(1))
        c = mix(c, BLUSH, 0.12 * near)
    c = paint_face(c, p, q, face)
    c *= (1 - 0.20 * np.clip(hollow, -0.5, 1.2))[:, None]
    c = _paint_hair(c, p, q)
    cloth = _clothes(p, q, n, joints)
    c, covered = mix(c, cloth[0], cloth[1]), cloth[1]
    # A little shadow on the skin just outside the cloth, and light from above baked in softly.
    c *= (1 - 0.22 * cloth[2] * (1 - covered))[:, None]
    return c * (0.955 + 0.045 * n[:, 1])[:, None]


def paint_face(c: np.ndarray, p: np.ndarray, q: np.ndarray, front: np.ndarray) -> np.ndarray:
    x, y = q[:, 0], q[:, 1]
    # Lips: two arcs that meet at the corners.
    u = x / 0.0265
    top, bottom = 0.0062 * (1 - u**2) - 0.0012 * np.exp(-((x / 0.004) ** 2)), -0.0088 * (1 - u**2)
    t = y - 0.6682
    lips = step(top - t, 0.0025) * step(t - bottom, 0.003) * step(1 - u, 0.1) * front
    c = mix(c, LIP, 0.8 * lips)
    c = mix(c, (0.33, 0.15, 0.14), 0.7 * step(0.0009 - np.abs(t + 0.0005), 0.0012) * step(0.96 - u, 0.08) * front)
    # Eyes: an almond, the iris cut by the upper lid, a lash line along it.
    ex, ey = x - 0.0318, y - 0.7342
    w = np.clip(1 - (ex / 0.0150) ** 2, 0, None)
    upper, lower = 0.0066 * w**0.75, -0.0052 * w**0.85
    opening = np.minimum(upper - ey, ey - lower)
    eye = step(opening, 0.0012) * (w > 0) * front
    around = np.exp(-((ex / 0.019) ** 2) - ((ey / 0.010) ** 2)) * front
    c = mix(c, (0.55, 0.36, 0.30), 0.35 * around)
    c = mix(c, SCLERA, eye)
    c = mix(c, (0.70, 0.68, 0.68), 0.5 * eye * step(ey - upper + 0.003, 0.003))  # the lid's shadow
    r = np.hypot(ex, ey - 0.0008)
    c = mix(c, IRIS, eye * step(0.0062 - r, 0.0010))
    c = mix(c, (0.10, 0.16, 0.19), 0.8 * eye * step(r - 0.0050, 0.0016) * step(0.0062 - r, 0.0010))
    c = mix(c, (0.03, 0.03, 0.03), eye * step(0.0028 - r, 0.0010))
    glint = np.hypot(p[:, 0] - np.sign(p[:, 0]) * 0.0318 - 0.0022, ey - 0.0030)  # the light is on one side for both
    c = mix(c, (1, 1, 1), 0.9 * eye * step(0.0012 - glint, 0.0010))
    lash = np.exp(-(((ey - upper - 0.0004) / 0.0012) ** 2)) * (np.abs(ex) < 0.0158) * front
    c = mix(c, (0.09, 0.06, 0.05), 0.85 * lash)
    c = mix(c, (0.40, 0.25, 0.21), 0.45 * np.exp(-(((ey - lower) / 0.0010) ** 2)) * (w > 0) * front)
    # Brows: an arc, thick inside and thin outside, combed outwards.
    b = np.clip((x - 0.0125) / 0.043, 0, 1)
    spine = 0.7500 + 0.0085 * np.sin(np.pi * np.clip(b * 0.80 + 0.08, 0, 1))
    thick = 0.0038 * (1 - 0.70 * b**1.5)
    strands = 0.85 + 0.25 * noise(np.stack([p[:, 0] * 3, y - x * 0.6, p[:, 2]], 1), 900, 5)
    brow = step(thick - np.abs(y - spine), 0.0026) * step(x - 0.0125, 0.003) * step(0.0555 - x, 0.006) * front
    return mix(c, HAIR, 0.88 * np.clip(brow * strands, 0, 1))


def _paint_hair(c: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    x, y, z = q.T
    # The hairline's height by how far in front it is: nape, behind the ear, sideburn, temple, forehead.
    line = np.interp(z, [-0.09, -0.045, -0.018, 0.012, 0.028, 0.042, 0.052, 0.070, 0.095],
                     [0.655, 0.660, 0.690, 0.735, 0.705, 0.712, 0.760, 0.783, 0.793])  # fmt: skip
    line -= 0.004 * np.exp(-((x / 0.012) ** 2)) * (z > 0.06)
    edge = y - line + 0.0035 * noise(p, 160, 7) + 0.0015 * noise(p, 500, 8)
    ear = step(1 - np.linalg.norm((q - (0.084, 0.715, -0.001)) / (0.0125, 0.036, 0.024), axis=1), 0.12)
    hair = step(edge, 0.007) * step(y - 0.62, 0.01) * (1 - ear)
    around = np.arctan2(x, z + 0.01)
    strand = noise(np.stack([around * 0.6, y * 0.06, np.hypot(x, z) * 0.15], 1), 90, 9)
    tone = np.float32(HAIR) * (1 + 0.28 * strand + 0.12 * noise(p, 40, 10))[:, None]
    return mix(c, tone, hair)


def _clothes(p: np.ndarray, q: np.ndarray, n: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, ...]:
    """Colour (N, 3), cover (N,) and shadow (N,) of everything worn."""
    x, y, z = q.T
    fold = noise(p, 14, 3)
    weave = noise(p, 700, 4)

    collar = (np.linalg.norm((q - (0, 0.600, -0.006)) / (0.088, 0.070, 0.088), axis=1) - 1) * 0.075
    inside = np.minimum.reduce([collar, SLEEVE_END - x, y - SHIRT_HEM, 0.605 - y])  # > 0 on the shirt
    raglan = x - (0.070 + (0.58 - y) * 0.42)
    shirt = mix(np.tile(np.float32(CREAM), (len(p), 1)), TEAL, step(raglan, 0.002))
    for low, high, tint in ((0.300, 0.345, TEAL), (0.278, 0.290, CORAL)):
        band = step(y - low, 0.002) * step(high - y, 0.002) * step(-raglan, 0.002)
        shirt = mix(shirt, tint, band)
    rib = step(0.014 - collar, 0.0015)
    cuff = step(x - SLEEVE_END + 0.016, 0.0015)
    shirt = mix(shirt, TEAL, rib)
    shirt *= (1 - 0.14 * (rib + cuff) - 0.25 * np.exp(-((raglan / 0.0016) ** 2)))[:, None]
    for seam in (np.abs(collar - 0.0155), np.abs(x - SLEEVE_END + 0.018), np.abs(y - SHIRT_HEM - 0.018)):
        shirt *= (1 - 0.22 * np.exp(-((seam / 0.0013) ** 2)))[:, None]
    shirt *= (1 + 0.045 * fold + 0.030 * weave)[:, None]

    centre_x = np.interp(y, joints[[7, 4, 1], 1], joints[[7, 4, 1], 0])
    centre_z = np.interp(y, joints[[7, 4, 1], 1], joints[[7, 4, 1], 2])
    trousers = np.tile(np.float32(DENIM), (len(p), 1))
    worn = np.exp(-(((y + 0.19) / 0.13) ** 2)) * np.clip(n[:, 2], 0, 1) ** 2
    worn += 0.8 * np.exp(-(((y + 0.36) / 0.04) ** 2)) * np.clip(n[:, 2], 0, 1) ** 2
    trousers = mix(trousers, (0.36, 0.43, 0.55), 0.38 * worn)
    legs = step(-0.03 - y, 0.02)
    outer = np.abs(z - centre_z) + 0.2 * (x < centre_x)
    inner = np.abs(z - centre_z) + 0.2 * (x > centre_x)
    for seam in (outer, np.where(legs > 0.5, inner, 1)):
        trousers *= (1 - 0.30 * np.exp(-((seam / 0.0018) ** 2)))[:, None]
    thread = np.exp(-(((outer - 0.0045) / 0.0009) ** 2)) * (np.sin(y * 1100) > -0.3)
    pocket = np.hypot(x - 0.165, y - 0.075) - 0.085
    front = step(z - 0.01, 0.01) * step(y + 0.03, 0.01) * step(x - 0.06, 0.004)
    trousers *= (1 - 0.35 * np.exp(-((pocket / 0.0018) ** 2)) * front)[:, None]
    thread += np.exp(-(((pocket - 0.006) / 0.0010) ** 2)) * front * (np.sin((x + y) * 1100) > -0.3)
    square = np.maximum(np.abs(x - 0.085) - 0.048, np.abs(y + 0.005) - 0.055)  # back pockets
    back = step(-z - 0.03, 0.01)
    thread += np.exp(-((square / 0.0013) ** 2)) * back * (np.sin((x + y) * 1100) > -0.3)
    fly = np.where((z > 0) & (p[:, 0] > 0), np.abs(p[:, 0] - 0.024), 1.0)
    thread += np.exp(-((fly / 0.0010) ** 2)) * step(y - 0.005, 0.01)
    thread += np.exp(-(((y - TROUSER_HEM - 0.020) / 0.0011) ** 2)) * (np.sin(np.arctan2(z, x - 0.09) * 90) > -0.3)
    trousers = mix(trousers, STITCH, 0.55 * np.clip(thread, 0, 1))
    trousers *= (1 + 0.07 * fold + 0.07 * weave - 0.35 * np.exp(-np.clip(SHIRT_HEM - y, 0, 1) / 0.010))[:, None]

    shoe = np.tile(np.float32(SHOE), (len(p), 1))
    stripe = step(0.007 - np.abs(y + 0.787 - 0.25 * z), 0.0015) * step(z + 0.07, 0.002) * step(0.062 - z, 0.002)
    shoe = mix(shoe, CORAL, stripe * (n[:, 1] < 0.55))
    foot_x = np.interp(z, [-0.05, 0.10], [0.092, 0.104])
    tongue = step(0.019 - np.abs(x - foot_x), 0.002) * step(z - 0.0, 0.003) * step(0.083 - z, 0.003)
    tongue *= step(n[:, 1] - 0.35, 0.1)
    shoe = mix(shoe, (0.30, 0.31, 0.34), tongue)
    lace = step(0.0030 - np.abs((z % 0.014) - 0.007), 0.0015)
    shoe = mix(shoe, SOLE, tongue * lace)
    shoe *= (1 + 0.06 * weave - 0.3 * np.exp(-(((y - SOLE_TOP) / 0.0025) ** 2)))[:, None]
    rubber = np.float32(SOLE) * (1 - 0.12 * (np.sin(z * 700) > 0.5) * (y < SOLE_TOP - 0.008))[:, None]
    sole = step(SOLE_TOP - y, 0.0015)
    shoe = mix(shoe, rubber, sole * (1 - 0.80 * step(z - 0.085, 0.02)))  # dark over the toes, which show through

    is_shirt = step(inside, 0.0015)
    is_low = step(SHIRT_HEM - y, 0.0015)
    is_shoe = step(TROUSER_HEM - y, 0.0015)
    colour = mix(mix(shirt, trousers, is_low), shoe, is_shoe)
    cover = np.maximum(is_shirt, is_low)
    shadow = np.exp(-np.clip(-inside, 0, 1) / 0.010)
    return colour, cover, shadow


def mix(under: np.ndarray, over: np.ndarray | tuple, amount: np.ndarray) -> np.ndarray:
    return under + (np.asarray(over, np.float32) - under) * np.asarray(amount, np.float32)[:, None]


def step(distance: np.ndarray, width: float) -> np.ndarray:
    t = np.clip(distance / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def noise(p: np.ndarray, frequency: float, seed: int) -> np.ndarray:
    """Smooth noise of about -1..1: waves in random directions, bent by each other."""
    rng = np.random.default_rng(seed)
    total, bend = np.zeros(len(p)), np.zeros(len(p))
    for octave in range(6):
        direction = rng.normal(size=3)
        wave = np.sin(p @ (direction / np.linalg.norm(direction)) * frequency * 1.5 ** (octave % 3) * 2
                      + rng.uniform(0, 6.3) + 1.3 * bend)  # fmt: skip
        bend, total = wave, total + wave
    return total / 3


def rasterise(body: Body, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Face (size, size), -1 outside, and barycentric weights (size, size, 3) of every texel."""
    face, bary = np.full((size, size), -1), np.zeros((size, size, 3), np.float32)
    corners = np.stack([body.vt[..., 0] * size, (1 - body.vt[..., 1]) * size], 1)[body.ft] - 0.5  # texel centres
    for index, triangle in enumerate(corners.astype(np.float64)):
        (x0, y0), (x1, y1) = np.floor(triangle.min(0)).astype(int), np.ceil(triangle.max(0)).astype(int)
        ys, xs = np.mgrid[max(y0, 0) : min(y1, size - 1) + 1, max(x0, 0) : min(x1, size - 1) + 1]
        (ax, ay), (bx, by), (cx, cy) = triangle
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        u = ((by - cy) * (xs - cx) + (cx - bx) * (ys - cy)) / area
        v = ((cy - ay) * (xs - cx) + (ax - cx) * (ys - cy)) / area
        inside = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9)
        rows, columns = ys[inside], xs[inside]
        face[rows, columns] = index
        bary[rows, columns] = np.stack([u[inside], v[inside], 1 - u[inside] - v[inside]], 1)
    return face, bary


def vertex_normals(body: Body) -> np.ndarray:
    triangle = body.v_template[body.faces]
    flat = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    normals = np.zeros_like(body.v_template)
    for corner in range(3):
        np.add.at(normals, body.faces[:, corner], flat)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _hollowness(body: Body, normals: np.ndarray) -> np.ndarray:
    """How far each vertex lies below its neighbours, relative to the edges' length, smoothed; > 0 in creases."""
    a, b = np.concatenate([body.faces[:, [0, 1]], body.faces[:, [1, 2]], body.faces[:, [2, 0]]]).T
    degree = np.bincount(a, minlength=len(normals))
    step = body.v_template[b] - body.v_template[a]
    height = np.bincount(a, (step * normals[a]).sum(1)) / np.maximum(np.bincount(a, np.linalg.norm(step, axis=1)), 1e-9)
    for _ in range(3):
        height = 0.5 * height + 0.5 * np.bincount(a, height[b]) / degree
    return height / 0.25


def fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return image[nearest[0], nearest[1]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw the default texture.")
    parser.add_argument("-o", "--output", type=Path, help="where to write (default: the bundled models' folder)")
    args = parser.parse_args(argv)
    import cv2

    path = args.output or models_dir() / NAME
    image = draw(load_body())
    if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise SystemExit(f"{path} cannot be written.")
    print(f"Wrote {path} ({path.stat().st_size:,} bytes); now run training.build_index")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
