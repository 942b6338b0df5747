"""Pulls lifted joints onto the keypoints: the lifter's depth, the picture's x and y. No `bpy` module use.

The lifter answers with what is likely; where the picture is certain, it should win. Each round meshes the joints,
places the mesh, and moves every joint sideways by what its keypoint says (the paper's optimisation, in closed form).
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .network import joints as J
from .placement import fit_translation
from .skeletons import BODY23

DOUBT_FROM = 0.10  # metres: a keypoint this far off is believed half, one much farther off is an outlier
BEYOND = 0.10  # metres: joints are pulled so much beyond the first distance, because the mesh follows in part
CERTAIN, DOUBTFUL = 0.40, 0.12  # confidence from which a keypoint counts fully, and below which not at all

_FACE, _SHOULDERS, _HIPS = BODY23[:5], ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
_FOLLOWS = {"head": _FACE, "crown": _FACE, "neck": _SHOULDERS, "spine3": _SHOULDERS, "spine2": _SHOULDERS + _HIPS,
            "torso": _SHOULDERS + _HIPS, "spine1": _HIPS, "pelvis": _HIPS}


def _sources(name: str) -> tuple[str, ...]:
    """The body23 keypoints whose shift a network joint takes over."""
    name = name.removeprefix("h36m_").removeprefix("smpl_")
    if name in BODY23:
        return (name,)
    side, _, part = name.partition("_")
    if part == "collar":
        return (f"{side}_shoulder",)
    if part == "foot":
        return (f"{side}_big_toe", f"{side}_ankle")
    if part == "hand" or part.endswith("tip"):
        return (f"{side}_wrist",)
    return _FOLLOWS[name]


# How much of each keypoint's shift a joint takes over, before it is scaled by confidence to at most 1 in sum.
SPREAD = np.zeros((J.COUNT, 23))
for _row, _name in enumerate(J.NAMES):
    for _source in _sources(_name):
        SPREAD[_row, BODY23.index(_source)] = 1.0
    if any(word in _name for word in ("toe", "heel", "foot")):  # without its own keypoint it follows the ankle
        SPREAD[_row, BODY23.index("left_ankle" if "left" in _name else "right_ankle")] += 0.1


def pull(joints: np.ndarray, rays: np.ndarray, confidence: np.ndarray, definition: float,
         mesh_points: Callable[[np.ndarray], np.ndarray], rounds: int = 2,
         by_hand: np.ndarray | None = None) -> np.ndarray:
    """joints (N, 71, 3) metres, root-relative, camera axes; rays (N, 23, 2) x/z, y/z; confidence (N, 23), 0 = absent.

    by_hand: (N, 23) bool, keypoints that a person has set and that are believed however far off they are.
    mesh_points: joints -> the same points measured on the mesh made from them. Returns corrected joints (N, 71, 3).
    """
    trust = np.clip((confidence - DOUBTFUL) / (CERTAIN - DOUBTFUL), 0, 1)
    share = np.einsum("js,ns->njs", SPREAD, trust)
    share /= np.maximum(share.sum(-1, keepdims=True), 1.0)
    rays = np.where(confidence[..., None] > 0, rays, 0.0)
    total, limit = np.zeros(rays.shape), np.zeros((*rays.shape[:2], 1))
    for number in range(rounds):
        seen = J.detector_points(mesh_points(joints), definition)
        place = fit_translation(seen, rays, np.square(confidence))[:, None]
        shift = rays * (seen[..., 2:] + place[..., 2:]) - place[..., :2] - seen[..., :2]
        doubt = 1 + np.square(np.linalg.norm(shift, axis=-1, keepdims=True) / DOUBT_FROM)
        shift /= doubt if by_hand is None else np.where(by_hand[..., None], 1.0, doubt)
        shift = np.where(np.isfinite(shift), shift, 0.0)
        if by_hand is not None:  # what the bones do not allow is not asked for more and more
            length = np.linalg.norm(total + shift, axis=-1, keepdims=True)
            limit = limit if number else length + BEYOND
            held = (total + shift) * np.minimum(1, limit / np.maximum(length, 1e-9))
            shift = np.where(by_hand[..., None], held - total, shift)
            total = total + shift
        joints = joints.copy()
        joints[..., :2] += share @ shift
        joints -= joints[:, :1]
    return joints
