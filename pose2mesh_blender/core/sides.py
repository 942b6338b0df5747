"""Left and right: where a detector confuses them, the network that saw the take knows better. No `bpy` module use.

Detectors look at one picture. Seen from behind, or with crossing legs, they take one side for the other, for a frame or
for as long as somebody turns the back; the lifter, which knows how people move, often does not follow.
"""
from __future__ import annotations

import numpy as np

from .camera import confidence_of, pixels_to_rays
from .network import joints as J
from .placement import fit_translation
from .skeletons import BODY23_FLIP

ARMS, LEGS = np.arange(5, 11), np.arange(11, 23)  # body23
FAR = 0.15  # of the person's size: a keypoint farther off than this is an outlier, and no farther
BETTER = 0.6  # exchanged, the keypoints must lie this much nearer ..
LEAST = 0.02  # .. and by at least this share of the size on average: what overlaps has no sides


def mistaken(joints: np.ndarray, keypoints: np.ndarray, intrinsics: np.ndarray, definition: float,
             by_hand: np.ndarray | None = None) -> np.ndarray:
    """Where the keypoints fit the lifted joints with left and right exchanged: (N, 2) bool, arms and legs.

    joints: (N, 71, 3) metres, root-relative, camera axes; keypoints: (N, 23, 3) pixels and confidence, NaN / 0 =
    absent; intrinsics (3, 3); definition: see `joints.detector_points`; by_hand: (N, 23) bool, keypoints that a person
    has set: they keep their side, and so do the others of their group.
    """
    confidence = confidence_of(keypoints)
    rays = np.nan_to_num(pixels_to_rays(keypoints[..., :2].astype(np.float64), intrinsics))
    seen = J.detector_points(joints, definition)
    seen = seen + np.nan_to_num(fit_translation(seen, rays, np.square(confidence)), nan=1.0)[:, None]
    drawn = seen[..., :2] / np.maximum(seen[..., 2:], 0.1)
    size = np.ptp(drawn, axis=1).max(1)[:, None]
    straight, across = (np.minimum(np.linalg.norm(rays - target, axis=-1) / size, FAR) * confidence
                        for target in (drawn, drawn[:, BODY23_FLIP]))

    def nearer(group: np.ndarray, share: float, least: float) -> np.ndarray:
        as_is, other = straight[:, group].sum(1), across[:, group].sum(1)
        return (other < share * as_is) & (as_is - other > least * confidence[:, group].sum(1))

    whole = nearer(np.concatenate([ARMS, LEGS]), BETTER, LEAST)
    out = np.stack([nearer(group, BETTER, LEAST) | (whole & nearer(group, 1, 0)) for group in (ARMS, LEGS)], 1)
    if by_hand is not None:
        out &= ~np.stack([by_hand[:, group].any(1) for group in (ARMS, LEGS)], 1)
    return out


def exchanged(keypoints: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """(N, 23, ...) with left and right exchanged in the arms and the legs that wrong (N, 2) bool names."""
    out = keypoints.copy()
    for group, rows in zip((ARMS, LEGS), wrong.T):
        out[np.ix_(rows, group)] = keypoints[np.ix_(rows, BODY23_FLIP[group])]
    return out


def agreed(joints: np.ndarray, keypoints: np.ndarray, intrinsics: np.ndarray, definition: float,
           by_hand: np.ndarray | None = None) -> np.ndarray:
    """Keypoints (N, 23, 3) with the sides that the joints have; arguments as for `mistaken`."""
    return exchanged(keypoints, mistaken(joints, keypoints, intrinsics, definition, by_hand))
