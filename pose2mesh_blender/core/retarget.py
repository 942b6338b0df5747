"""The motion of a fitted skeleton on somebody else's: names matched, rest poses told apart. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .conventions import CONVENTIONS, quaternion_of, steady
from .rig import Rig
from .skeletons import SMPL24

FEWEST = 6  # bones that must be known by name before a naming is believed
# Other names in SMPL's order of joints, for matching only: Unreal's older mannequin, Rigify's FK controls.
_OTHERS = (
    "pelvis thigh_l thigh_r spine_01 calf_l calf_r spine_02 foot_l foot_r spine_03 ball_l ball_r neck_01 clavicle_l "
    "clavicle_r head upperarm_l upperarm_r lowerarm_l lowerarm_r hand_l hand_r - -",
    "torso thigh_fk.L thigh_fk.R - shin_fk.L shin_fk.R spine_fk.002 foot_fk.L foot_fk.R chest toe_fk.L toe_fk.R neck "
    "shoulder.L shoulder.R head upper_arm_fk.L upper_arm_fk.R forearm_fk.L forearm_fk.R hand_fk.L hand_fk.R - -",
    "Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase RightToeBase Neck "
    "LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand - -")
# The joint whose place shows where a limb's bone points; the others keep their own rest direction.
_AIMS = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 17: 19, 18: 20, 19: 21}
_FOLLOWS = {20: 18, 21: 19, 22: 18, 23: 19}  # hands turn as their forearm


@dataclass(frozen=True)
class Retargeted:
    """Keys for a foreign armature: of `bones` (M,) its numbers, (N, M, 4) quaternions w x y z in each bone's own axes,
    and (N, 3) the location of the first of them, the hips, in its own axes and the armature's units."""

    bones: np.ndarray
    rotations: np.ndarray
    location: np.ndarray


def guess_bones(names: Sequence[str]) -> dict[str, str]:
    """Joint (smpl24 name) -> bone, by the naming that most of the names follow; empty when none is known."""
    plain = {_plain(name): name for name in reversed(names)}
    tables = [c.bones for c in CONVENTIONS.values()] + [tuple(line.split()) for line in _OTHERS]
    found = [{joint: plain[_plain(bone)] for joint, bone in zip(SMPL24, table) if _plain(bone) in plain}
             for table in tables]
    best = max(found, key=len)
    return best if len(best) >= FEWEST else {}


def retarget(rig: Rig, axes: np.ndarray, rest: np.ndarray, parents: np.ndarray, mapping: dict[int, int],
             unit: float = 1.0) -> Retargeted:
    """rig's motion for another skeleton whose bones rest at `rest` (B, 4, 4), parents first, root -1.

    axes: (3, 3) from core's y-up into the armature's space; unit: armature units per metre; mapping: joint -> bone,
    which must hold the pelvis (0). Rest poses may differ (A-pose, T-pose): limbs are aligned by direction.
    """
    heads = rest[:, :3, 3]
    facing = _frame(heads, mapping) @ _frame(rig.joints @ axes.T, {j: j for j in mapping}).T
    turns = np.einsum("ij,nbjk,lk->nbil", axes, rig.rotations, axes)
    wanted = {}
    aligned = {joint: _align(rig, axes, facing, heads, mapping, joint) for joint in _AIMS}
    for joint, bone in mapping.items():
        own = aligned.get(_FOLLOWS.get(joint, joint), np.eye(3))
        wanted[bone] = turns[:, joint] @ facing.T @ own @ rest[bone, :3, :3]
    up = axes @ [0, 1, 0]
    size = max(float((heads[mapping[0]] - heads).dot(up).max()), 1e-3 * unit) / rig.joints[0, 1]  # hips over the floor
    path = size * rig.pelvis @ axes.T
    across = np.eye(3) - np.outer(up, up)
    path += across @ (unit * axes @ rig.pelvis[0] - path[0])  # starts where the person does
    pose = np.empty((len(rig.pelvis), len(rest), 3, 3))
    bones, quaternions = [], []
    location = np.zeros((len(rig.pelvis), 3))
    for bone, parent in enumerate(parents):
        local = rest[bone, :3, :3] if parent < 0 else rest[parent, :3, :3].T @ rest[bone, :3, :3]
        unmoved = np.broadcast_to(local, (len(pose), 3, 3)) if parent < 0 else pose[:, parent] @ local
        pose[:, bone] = wanted.get(bone, unmoved)
        if bone in wanted:
            bones.append(bone)
            quaternions.append(steady(quaternion_of(unmoved.swapaxes(1, 2) @ pose[:, bone])))
        if bone == mapping[0]:
            # what lies above the hips does not move
            location = (path - heads[bone]) @ rest[bone, :3, :3]
    order = sorted(range(len(bones)), key=lambda i: bones[i] != mapping[0])
    return Retargeted(np.array(bones)[order], np.stack(quaternions, 1)[:, order], location)


def _plain(name: str) -> str:
    name = name.split(":")[-1].lower()
    for prefix in ("def-", "org-", "mixamorig_", "bip01_"):
        name = name.removeprefix(prefix)
    return "".join(c for c in name if c.isalnum()) or "-" * 9


def _frame(places: np.ndarray, mapping: dict[int, int]) -> np.ndarray:
    """(3, 3) columns left, up, front of a body at rest, from hips to neck."""
    left = places[mapping[1]] - places[mapping[2]]
    top = next(j for j in (12, 15, 9, 6, 3) if j in mapping)
    up = places[mapping[top]] - (places[mapping[1]] + places[mapping[2]]) / 2
    left = left / np.linalg.norm(left)
    up = up - left * (left @ up)
    up /= np.linalg.norm(up)
    return np.stack([left, up, np.cross(left, up)], 1)


def _align(rig: Rig, axes: np.ndarray, facing: np.ndarray, heads: np.ndarray, mapping: dict[int, int],
           joint: int) -> np.ndarray:
    """(3, 3) the smallest turn of a foreign limb at rest into the direction that ours has at rest."""
    end = _AIMS[joint]
    if joint not in mapping or end not in mapping:
        return np.eye(3)
    a = heads[mapping[end]] - heads[mapping[joint]]
    b = facing @ axes @ (rig.joints[end] - rig.joints[joint])
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), float(a @ b)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / max(1 + c, 1e-6)

