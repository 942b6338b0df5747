"""The joints the network speaks of, and what a 2D detector sees of them. No `bpy` module use.

The lifter predicts 71 points at once: several definitions of the same joints (so that every input and output set has
its own), the feet, fingertips and the crown. Root: the H36M pelvis, point 0.
"""
from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..body import Body
from ..skeletons import COCO17, FEET6, H36M17, SMPL24, flip_permutation

H36M, SMPL, COCO = slice(0, 17), slice(17, 41), slice(41, 58)
FEET, TIPS, CROWN = slice(58, 64), slice(64, 70), 70
BODY = slice(41, 64)  # coco17 + feet6 = body23, the regressors' definition
COUNT = 71
TIP_VERTICES = (2746, 2319, 2673, 6191, 5782, 6133)  # thumb, index, little finger; left then right
CROWN_VERTEX = 411
NAMES = (*(f"h36m_{n}" for n in H36M17), *(f"smpl_{n}" for n in SMPL24), *COCO17, *FEET6,
         *(f"{s}_{n}_tip" for s in ("left", "right") for n in ("thumb", "index", "pinky")), "crown")
FLIP = flip_permutation(NAMES)

# How far MoveNet places a joint from the COCO vertex regressor, metres on a 1.67 m body, measured on rendered bodies
# (definition 1 below): hips up the trunk and outward, knees and ankles up the limb, shoulders up the trunk.
HIP_UP, HIP_OUT, KNEE_UP, ANKLE_UP, SHOULDER_UP = 0.070, 0.008, 0.021, 0.023, 0.008


def lift_points(vertices: np.ndarray, smpl24: np.ndarray, body: Body) -> np.ndarray:
    """vertices (N, 6890, 3), skeleton joints (N, 24, 3) -> (N, 71, 3) relative to the H36M pelvis, same axes."""
    h36m = body.regress("h36m17", vertices)
    points = np.concatenate([h36m, smpl24, body.regress("coco17", vertices), body.regress("feet6", vertices),
                             vertices[:, TIP_VERTICES], vertices[:, [CROWN_VERTEX]]], 1)
    return points - h36m[:, :1]


def point_rows(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """The points that are read off the surface (all but smpl24), as one matrix over the few vertices they need.

    Returns vertex numbers (U,) and weights (47, U) float32 in the order h36m17, coco17, feet6, tips6, crown.
    """
    rows = [(r.indices[a:b], r.data[a:b]) for r in (body.regressors[k] for k in ("h36m17", "coco17", "feet6"))
            for a, b in pairwise(r.indptr)]
    rows += [(np.array([v]), np.ones(1)) for v in (*TIP_VERTICES, CROWN_VERTEX)]
    used = np.unique(np.concatenate([vertices for vertices, _ in rows]))
    matrix = np.zeros((len(rows), len(used)), np.float32)
    for row, (vertices, weights) in zip(matrix, rows):
        row[np.searchsorted(used, vertices)] = weights
    return used, matrix


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-6)


def detector_points(joints: np.ndarray, definition: np.ndarray | float) -> np.ndarray:
    """Where a detector puts its body23 keypoints on a person.

    joints: (..., 71, 3) metres, any axes; definition: 0 = the COCO vertex regressor, 1 = MoveNet, scalar or (...).
    Returns (..., 23, 3) in the same axes.
    """
    d = np.asarray(definition, joints.dtype)[..., None]
    p = joints[..., BODY, :].copy()
    smpl = joints[..., SMPL, :]
    up = _unit(smpl[..., 9, :] - smpl[..., 0, :])
    out = _unit(smpl[..., 1, :] - smpl[..., 2, :])  # towards the left
    hips, knees = p[..., 11:13, :].copy(), p[..., 13:15, :].copy()
    for side, sign in ((0, 1), (1, -1)):
        p[..., 5 + side, :] += d * SHOULDER_UP * up
        p[..., 11 + side, :] += d * (HIP_UP * up + sign * HIP_OUT * out)
        p[..., 13 + side, :] += d * KNEE_UP * _unit(hips[..., side, :] - knees[..., side, :])
        p[..., 15 + side, :] += d * ANKLE_UP * _unit(knees[..., side, :] - p[..., 15 + side, :])
    return p
