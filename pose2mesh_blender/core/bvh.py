"""BVH: a skeleton and its motion as text, for motion libraries. No `bpy` module use.

Centimetres, y up; a joint's rotations are about the world's axes at rest, applied as Rz Rx Ry.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np

from .conventions import Skeleton
from .files import write_file
from .rig import Rig

CENTIMETRES = 100.0
_ROTATIONS = "Zrotation Xrotation Yrotation"


def write_bvh(path: Path, rig: Rig, skeleton: Skeleton, fps: float) -> None:
    """The bones that carry weights, from the pelvis on, under the skeleton's names. Raises TakeError."""
    own = [int(np.flatnonzero(skeleton.weighted & (skeleton.joints == j))[0]) for j in range(len(rig.parents))]
    lines, order = ["HIERARCHY"], []

    def joint(index: int, depth: int) -> None:
        pad, parent = "  " * depth, rig.parents[index]
        step = rig.joints[index] - rig.joints[parent] if parent >= 0 else np.zeros(3)
        head = "ROOT" if parent < 0 else "JOINT"
        lines.extend([f"{pad}{head} {skeleton.names[own[index]]}", f"{pad}{{", f"{pad}  OFFSET {_text(step)}"])
        places = "" if parent >= 0 else "Xposition Yposition Zposition "
        lines.append(f"{pad}  CHANNELS {6 if places else 3} {places}{_ROTATIONS}")
        order.append(index)
        children = np.flatnonzero(rig.parents == index)
        for child in children:
            joint(int(child), depth + 1)
        if not len(children):
            end = skeleton.axes[own[index]] @ [0, skeleton.lengths[own[index]], 0]
            lines.extend([f"{pad}  End Site", f"{pad}  {{", f"{pad}    OFFSET {_text(end)}", f"{pad}  }}"])
        lines.append(f"{pad}}}")

    joint(0, 0)
    angles = np.degrees(_zxy(rig.local[:, order]))
    # readers disagree whether the position of the root adds to its offset, which therefore is 0
    rows = np.concatenate([CENTIMETRES * rig.pelvis, angles.reshape(len(angles), -1)], 1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.8f}"]
    lines += [" ".join(f"{v:.5f}" for v in row) for row in rows]
    write_file(path, ("\n".join(lines) + "\n").encode())


def _text(step: np.ndarray) -> str:
    return " ".join(f"{v:.5f}" for v in CENTIMETRES * np.asarray(step))


def _zxy(matrices: np.ndarray) -> np.ndarray:
    """(N, ..., 3, 3) = Rz Rx Ry -> angles z, x, y in radians (N, ..., 3), each frame near the one before."""
    m = matrices
    x = np.arcsin(np.clip(m[..., 2, 1], -1, 1))
    z = np.arctan2(-m[..., 0, 1], m[..., 1, 1])
    y = np.arctan2(-m[..., 2, 0], m[..., 2, 2])
    out = np.stack([z, x, y], -1)
    other = np.stack([z + np.pi, np.pi - x, y + np.pi], -1)  # the same rotation
    for row in range(1, len(out)):
        near = [a + 2 * np.pi * np.round((out[row - 1] - a) / (2 * np.pi)) for a in (out[row], other[row])]
        closer = np.abs(near[0] - out[row - 1]).sum(-1) <= np.abs(near[1] - out[row - 1]).sum(-1)
        out[row] = np.where(closer[..., None], *near)
    return out
