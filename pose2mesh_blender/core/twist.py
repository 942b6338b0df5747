"""Forearms that keep their girth when the hand turns: a bone that takes half of its twist. No `bpy` module use.

Between two bones that are twisted against each other linear skinning draws the surface inwards, down to cos(angle / 2)
of its radius: at 90 degrees a wrist loses half of its cross-section. A bone half-way leaves two smaller steps.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from .conventions import quaternion_of
from .rig import Rig, rotation_of

ARMS = ((18, 20), (19, 21))  # forearm and hand
FROM, TO = 0.35, 0.85  # of the way from elbow to wrist: where the new bone's share begins, and where it is whole


def with_twist_bones(rig: Rig) -> Rig:
    """The same rig with a child of each forearm, left then right, that turns by half of the hand's twist.

    The hands' weights stay, so wrists bend as before. The surface leaves the one that was fitted where that is pinched.
    """
    joints, parents, rotations = list(rig.joints), list(rig.parents), list(rig.rotations.swapaxes(0, 1))
    weights = list(rig.weights.T)
    for forearm, hand in ARMS:
        along = rig.joints[hand] - rig.joints[forearm]
        axis = along / np.linalg.norm(along)
        q = quaternion_of(rig.rotations[:, forearm].swapaxes(1, 2) @ rig.rotations[:, hand])
        angle = np.unwrap((2 * np.arctan2(q[:, 1:] @ axis, q[:, 0]) + np.pi) % (2 * np.pi) - np.pi)
        way = (rig.rest - rig.joints[forearm]) @ along / (along @ along)
        share = np.clip((way - FROM) / (TO - FROM), 0, 1)
        share = share * share * (3 - 2 * share) * ((rig.weights > 0).sum(1) < 4)
        taken = (weights[forearm] * share).astype(np.float32)
        weights[forearm] = weights[forearm] - taken
        weights.append(taken)
        joints.append(rig.joints[forearm] + 0.5 * along)
        parents.append(forearm)
        rotations.append(rig.rotations[:, forearm] @ rotation_of(0.5 * angle[:, None] * axis))
    return replace(rig, joints=np.array(joints), parents=np.array(parents), weights=np.stack(weights, 1),
                   rotations=np.stack(rotations, 1))
