"""Keypoints that a person has set, where a body can have them. No `bpy` module use."""
from __future__ import annotations

import numpy as np

from .camera import confidence_of
from .skeletons import BODY23

SURE = 0.2  # confidence from which a bone says how large the person is in the picture
_AT = {name: joint for joint, name in enumerate(BODY23)}


def _sides(*bones: tuple[str, str, float]) -> list[tuple[int, int, float]]:
    return [(_AT[f"{side}_{a}"], _AT[f"{side}_{b}"], metres) for side in ("left", "right") for a, b, metres in bones]


# Ends and lengths (metres) of an adult's bones between keypoints: only their proportions count.
BONES = [*_sides(("shoulder", "elbow", .28), ("elbow", "wrist", .25), ("hip", "knee", .41), ("knee", "ankle", .40),
                 ("shoulder", "hip", .50)),
         (_AT["left_shoulder"], _AT["right_shoulder"], .34), (_AT["left_hip"], _AT["right_hip"], .20)]
_SHOULDERS, _HIPS = [_AT["left_shoulder"], _AT["right_shoulder"]], [_AT["left_hip"], _AT["right_hip"]]
# Keypoint, what it hangs on, how far it can be from there (metres); what carries others comes first.
REACH = [*[(joint, _HIPS, .55) for joint in _SHOULDERS], *[(joint, _SHOULDERS, .55) for joint in _HIPS],
         *[(_AT[name], _SHOULDERS, .40) for name in BODY23[:5]],
         *[(b, [a], metres) for a, b, metres in _sides(
             ("shoulder", "elbow", .28), ("shoulder", "wrist", .53), ("elbow", "wrist", .25), ("hip", "knee", .41),
             ("hip", "ankle", .81), ("knee", "ankle", .40), ("ankle", "big_toe", .22), ("ankle", "small_toe", .20),
             ("ankle", "heel", .12))]]


def within_reach(keypoints: np.ndarray, by_hand: np.ndarray | None) -> np.ndarray:
    """keypoints (T, 23, 3) body23 pixels + confidence, by_hand (T, 23) bool -> a copy whose hand-set ones can be.

    One that lies farther off than its bone or limb is long goes to where that points at it. The person's
    size in the picture is that of the longest bone, for its length, between detected keypoints of the same frame:
    foreshortening only makes bones shorter. Frames without such a bone stay as they are.
    """
    if by_hand is None or not by_hand.any():
        return keypoints
    out = np.array(keypoints)
    rows = np.flatnonzero(by_hand.any(1))
    points, sure = out[rows, :, :2], confidence_of(out[rows])
    seen = (sure > SURE) & ~by_hand[rows]
    size = np.zeros(len(rows))  # pixels a metre
    for a, b, metres in BONES:
        long = np.linalg.norm(points[:, a] - points[:, b], axis=-1) / metres
        size = np.fmax(size, np.where(seen[:, a] & seen[:, b], long, 0.0))
    for joint, anchors, metres in REACH:
        anchor = points[:, anchors].mean(1)
        away = points[:, joint] - anchor
        far, limit = np.linalg.norm(away, axis=-1), metres * size
        beyond = by_hand[rows, joint] & (sure[:, joint] > 0) & (sure[:, anchors] > 0).all(1) & (size > 0)
        beyond &= far > limit
        points[beyond, joint] = (anchor + away * (limit / np.maximum(far, 1e-6))[:, None])[beyond]
    out[rows, :, :2] = points
    return out
