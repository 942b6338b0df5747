"""The joints the network speaks of, and what a 2D detector sees of them. No `bpy` module use.

The lifter predicts 71 points at once: several definitions of the same joints (so that every input and output set has
its own), the feet, fingertips and the crown. Root: the H36M pelvis, point 0.
"""
from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..body import Body
from ..skeletons import BODY23, COCO17, FEET6, H36M17, SMPL24, flip_permutation

H36M, SMPL, COCO = slice(0, 17), slice(17, 41), slice(41, 58)
FEET, TIPS, CROWN = slice(58, 64), slice(64, 70), 70
BODY = slice(41, 64)  # coco17 + feet6 = body23, the regressors' definition
COUNT = 71
TIP_VERTICES = (2746, 2319, 2673, 6191, 5782, 6133)  # thumb, index, little finger; left then right
CROWN_VERTEX = 411
NAMES = (*(f"h36m_{n}" for n in H36M17), *(f"smpl_{n}" for n in SMPL24), *COCO17, *FEET6,
         *(f"{s}_{n}_tip" for s in ("left", "right") for n in ("thumb", "index", "pinky")), "crown")
FLIP = flip_permutation(NAMES)

# Where the bundled detectors put a keypoint (definition 1), seen from the vertex regressors' (definition 0): metres
# outward, up, front in the axes of `keypoint_axes`; measured on rendered bodies (training/detector_residuals.py).
# Hips lie up the trunk, knees and ankles up the limb.
_SHIFTS = {"nose": (0, .012, -.018), "eye": (-.007, .004, -.013), "ear": (-.013, .003, .008),
           "shoulder": (-.004, .020, .007), "elbow": (.004, .009, .006), "wrist": (-.001, .002, .007),
           "hip": (.029, .065, -.003), "knee": (-.011, .024, .001), "ankle": (.003, .030, -.011),
           "big_toe": (.010, -.033, -.029), "small_toe": (0, 0, 0), "heel": (-.002, .039, -.013)}
DRAWN = 0.6  # the definition that detectors of others come nearest to
DETECTOR_SHIFT = np.array([_SHIFTS[n.removeprefix("left_").removeprefix("right_")] for n in BODY23], np.float32)


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


def point_coefficients(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 71 points of a linearly skinned body as a linear function of its bones' transforms.

    point p = sum over bones b of R_b (base[p, b] + shape . dirs[:, p, b]) + t_b share[p, b], where x -> R_b x + t_b
    takes bone b from rest to pose. Returns base (71, 24, 3), dirs (K, 71, 24, 3) and share (71, 24), float32.
    """
    used, rows = point_rows(body)
    weights = body.weights[used]

    def spread(surface: np.ndarray, joints: np.ndarray) -> np.ndarray:
        out = np.zeros((COUNT, 24, surface.shape[-1]), np.float32)
        found = np.einsum("pu,ub,uc->pbc", rows, weights, surface, optimize=True)
        out[H36M], out[41:] = found[:17], found[17:]
        out[17 + np.arange(24), np.arange(24)] = joints
        return out

    dirs = [spread(d, j) for d, j in zip(body.shapedirs[:, used], body.J_shapedirs)]
    return (spread(body.v_template[used], body.J_template), np.stack(dirs),
            spread(np.ones((len(used), 1)), np.ones((24, 1)))[..., 0])


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-6)


def _ends(name: str, i: int) -> tuple[int, int, int, int]:
    """Points whose differences are body23 joint i's axes: up from, up to, across from, across to (71 = between the
    ears)."""
    smpl, coco, trunk = SMPL.start, COCO.start, (SMPL.start, SMPL.start + 9)
    if i < 5:
        return 71, CROWN, coco + 4, coco + 3
    if name.endswith("shoulder"):
        return *trunk, smpl + 17, smpl + 16
    if name.endswith("hip"):
        return *trunk, smpl + 2, smpl + 1
    if i < 17:
        return coco + i, coco + i - 2, smpl + 17, smpl + 16
    foot = FEET.start + 3 * ((i - 17) // 3)
    return foot + 2, coco + 15 + (i - 17) // 3, foot + 2, foot  # across: heel to toe, turned below


_ENDS = np.array([_ends(n, i) for i, n in enumerate(BODY23)]).T
_SIDE = np.array([-1.0 if n.startswith("right") else 1.0 for n in BODY23])[:, None]


def keypoint_axes(joints: np.ndarray) -> np.ndarray:
    """(..., 71, 3) points -> (..., 23, 3, 3): per body23 keypoint the axes outward, up, front as columns.

    Outward is away from the body's middle (left, for the nose). Up is along the spine (shoulders, hips), up the head
    (face), towards the joint before (elbows, wrists, knees, ankles) or from the heel to the ankle (feet). Front is
    where the chest, the face or the toes point.
    """
    ears = joints[..., COCO, :][..., 3:5, :].mean(-2, keepdims=True)
    p = np.concatenate([joints, ears], -2)
    up = _unit(p[..., _ENDS[1], :] - p[..., _ENDS[0], :])
    across = p[..., _ENDS[3], :] - p[..., _ENDS[2], :]
    across[..., 17:, :] = np.cross(up[..., 17:, :], across[..., 17:, :])
    across = _unit(across - up * (across * up).sum(-1, keepdims=True))
    return np.stack([_SIDE * across, up, np.cross(across, up)], -1)


def detector_points(joints: np.ndarray, definition: np.ndarray | float) -> np.ndarray:
    """Where a detector puts its body23 keypoints on a person.

    joints: (..., 71, 3) metres, any right-handed axes; definition: 0 = the vertex regressors, 1 = the bundled
    detectors, scalar or (...). Returns (..., 23, 3) in the same axes.
    """
    d = np.asarray(definition, joints.dtype)[..., None, None]
    return joints[..., BODY, :] + d * (keypoint_axes(joints) @ DETECTOR_SHIFT[..., None])[..., 0]
