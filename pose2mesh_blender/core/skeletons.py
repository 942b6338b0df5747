"""Joint sets: one definition each, and the conversion of foreign keypoints to `body23`. No `bpy` module use.

`body23` is what the tracks, the take and the network use: COCO's 17 keypoints, then big toe, small toe and heel of the
left and of the right foot. Left and right are the person's own.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import KeypointFileError


@dataclass(frozen=True)
class Skeleton:
    """A named, ordered joint set. `body23` lists, per body23 joint, the indices of the sources averaged for it."""

    name: str
    joints: tuple[str, ...]
    body23: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.joints)


def _both(*names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names for side in ("left", "right"))


COCO17 = ("nose", *_both("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"))
FEET6 = tuple(f"{side}_{name}" for side in ("left", "right") for name in ("big_toe", "small_toe", "heel"))
BODY23 = COCO17 + FEET6
BODY25 = ("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
          "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
          "left_eye", "right_ear", "left_ear", *FEET6)
HALPE26 = COCO17 + ("head", "neck", "pelvis") + _both("big_toe", "small_toe", "heel")
WHOLEBODY133 = (COCO17 + FEET6 + tuple(f"face_{i}" for i in range(68))
                + tuple(f"left_hand_{i}" for i in range(21)) + tuple(f"right_hand_{i}" for i in range(21)))
BLAZEPOSE33 = ("nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
               "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right",
               *_both("shoulder", "elbow", "wrist", "pinky", "index", "thumb", "hip", "knee", "ankle", "heel",
                      "big_toe"))
H36M17 = ("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "torso", "neck",
          "nose", "head", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist")
MPII16 = ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
          "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
          "left_wrist")
SMPL24 = ("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
          "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
          "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand",
          "right_hand")
SMPL24_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# Names that mean a body23 joint in another set (SMPL's foot joint sits at the ball of the foot, nearest the big toe).
_ALIASES = {"left_big_toe": ("left_foot",), "right_big_toe": ("right_foot",)}


def _skeleton(name: str, joints: tuple[str, ...]) -> Skeleton:
    def source(joint: str) -> tuple[int, ...]:
        return next(((joints.index(n),) for n in (joint, *_ALIASES.get(joint, ())) if n in joints), ())

    return Skeleton(name, joints, tuple(source(j) for j in BODY23))


SKELETONS: dict[str, Skeleton] = {name: _skeleton(name, joints) for name, joints in {
    "body23": BODY23, "coco17": COCO17, "body25": BODY25, "blazepose33": BLAZEPOSE33, "halpe26": HALPE26,
    "wholebody133": WHOLEBODY133, "h36m17": H36M17, "mpii16": MPII16, "smpl24": SMPL24}.items()}


def flip_permutation(joints: tuple[str, ...]) -> np.ndarray:
    """(J,) int: index of each joint's mirror partner (itself on the midline)."""
    swap = {"left": "right", "right": "left"}

    def partner(name: str) -> str:
        return "_".join(swap.get(word, word) for word in name.split("_"))

    return np.array([joints.index(partner(n)) for n in joints])


BODY23_FLIP = flip_permutation(BODY23)
# Bones drawn between body23 joints (overlay, tracking object lines).
BODY23_BONES = ((5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14),
                (14, 16), (0, 1), (0, 2), (1, 3), (2, 4), (15, 17), (15, 19), (17, 18), (16, 20), (16, 22), (20, 21))


def convert(keypoints: np.ndarray, skeleton: str) -> np.ndarray:
    """Foreign keypoints to body23.

    keypoints: (..., J, 3), pixels x, y and confidence; NaN or confidence 0 = missing. Returns (..., 23, 3) float32 with
    NaN x, y and confidence 0 where the source has no such joint. Pelvis, neck, head top and torso points are dropped:
    the network recomputes them. Definitions of a joint differ between sets (hips by up to 11 cm between COCO, MoveNet
    and H36M); the network is trained on all of them. Raises KeypointFileError for an unknown set or joint count.
    """
    if skeleton not in SKELETONS:
        raise KeypointFileError(f"Unknown skeleton “{skeleton}”.", f"Use one of: {', '.join(SKELETONS)}.")
    known = SKELETONS[skeleton]
    keypoints = np.asarray(keypoints, np.float32)
    if keypoints.shape[-2:] != (len(known), 3):
        raise KeypointFileError(f"Skeleton {skeleton} has {len(known)} joints with x, y, confidence; "
                                f"the keypoints have shape {keypoints.shape}.", "Name the right skeleton.")
    out = np.zeros((*keypoints.shape[:-2], 23, 3), np.float32)
    out[..., :2] = np.nan
    for joint, sources in enumerate(known.body23):
        if sources:
            out[..., joint, :] = keypoints[..., list(sources), :].mean(-2)
    missing = ~np.isfinite(out).all(-1) | (out[..., 2] <= 0)
    out[missing] = (np.nan, np.nan, 0)
    return out
