"""What engines call the bones of a person, and how they turn their axes. No `bpy` module use.

Names in SMPL's order of 24 joints. Sources: Unity's HumanBodyBones, Godot's SkeletonProfileHumanoid (names and
reference poses), Rigify's human metarig (as Blender makes it), Unreal's Manny, Mixamo's auto-rigger, SMPL's FBX files.
Axes are right-handed, y up, the body faces +z, its left is +x.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .errors import ExportError
from .rig import Rig

# Groups of joints with axes of their own.
GROUPS = {"spine": (0, 3, 6, 9, 12, 15), "shoulder": (13, 14), "arm": (16, 17), "forearm": (18, 19, 24, 25),
          "hand": (20, 21, 22, 23), "thigh": (1, 2), "shin": (4, 5), "foot": (7, 8), "toe": (10, 11)}
# The joint that a bone points at; those that end a limb go on as the bone before them, or as said in _ENDS.
_CHILD = {0: 3, 1: 4, 2: 5, 3: 6, 4: 7, 5: 8, 6: 9, 7: 10, 8: 11, 9: 12, 12: 15, 13: 16, 14: 17, 16: 18, 17: 19, 18: 20,
          19: 21, 20: 22, 21: 23}
_ENDS = {10: (0, 0, 0.07), 11: (0, 0, 0.07), 15: (0, 0.18, 0)}
_LEFT = {1, 4, 7, 10, 13, 16, 18, 20, 22, 24}


@dataclass(frozen=True)
class Convention:
    """Names and axes of one family of skeletons.

    axes: per group of joints, which local axis runs along the bone ("Y", "-X", ...), a second axis, and where that
    one looks: up, down, front, back, left or out (away from the body's middle). Empty: all bones as the world.
    mirrored: on the right side both axes turn round. between: bones without weights that the engine's own skeleton
    has, (name, joint before, joint after, share of the way), each a child of what comes before. twists: of the left and
    the right forearm, as twist.py adds them, where the engine's own skeleton has such bones.
    """

    name: str
    root: str
    bones: tuple[str, ...]
    axes: dict[str, tuple[str, str, str]]
    between: tuple[tuple[str, int, int, float], ...] = ()
    mirrored: bool = False
    twists: tuple[str, ...] = ()

    @property
    def every_bone(self) -> set[str]:
        """All names, the root's and those of bones without weights included."""
        return {self.root, *self.bones, *self.twists, *(name for name, *_ in self.between)}


@dataclass(frozen=True)
class Skeleton:
    """Bones in an order in which parents come first; bone 0 is the root, on the floor under the pelvis."""

    names: tuple[str, ...]
    parents: np.ndarray  # (B,), root -1
    heads: np.ndarray  # (B, 3) at rest, metres
    axes: np.ndarray  # (B, 3, 3) at rest, columns are the bone's x, y, z
    lengths: np.ndarray  # (B,) metres, for display
    joints: np.ndarray  # (B,) joint whose rotation the bone takes, -1 for the root
    weighted: np.ndarray  # (B,) bool: takes the joint's weights, too


@dataclass(frozen=True)
class Motion:
    """Local motion of a skeleton's bones from its rest pose, N frames."""

    rotations: np.ndarray  # (N, B, 4) unit quaternions w, x, y, z in the bones' own axes at rest, without flips
    root: np.ndarray  # (N, 3) place of the root bone, metres, y up
    pelvis: np.ndarray  # (N, 3) place of the pelvis bone from its rest place, relative to the root, same axes


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_Y_ALONG = {"spine": ("Y", "Z", "front"), "shoulder": ("Y", "Z", "up"), "arm": ("Y", "Z", "down"),
            "forearm": ("Y", "Z", "front"), "hand": ("Y", "Z", "down"), "thigh": ("Y", "Z", "front"),
            "shin": ("Y", "Z", "back"), "foot": ("Y", "Z", "up"), "toe": ("Y", "Z", "down")}  # Godot's reference poses
_MIXAMO = {**_Y_ALONG, "shoulder": ("Y", "Z", "down"), "forearm": ("Y", "Z", "down"), "shin": ("Y", "Z", "front"),
           "toe": ("Y", "Z", "up")}
_RIGIFY = {"spine": ("Y", "Z", "front"), "shoulder": ("Y", "Z", "up"), "arm": ("Y", "Z", "front"),
           "forearm": ("Y", "Z", "front"), "hand": ("Y", "Z", "front"), "thigh": ("Y", "Z", "back"),
           "shin": ("Y", "Z", "back"), "foot": ("Y", "Z", "down"), "toe": ("Y", "Z", "up")}
# Unreal: x along the bone, z the axis that knees and elbows bend about; the sides are mirror images.
_UNREAL = {"spine": ("X", "Z", "left"), "shoulder": ("X", "Z", "down"), "arm": ("X", "Z", "down"),
           "forearm": ("X", "Z", "down"), "hand": ("X", "Z", "down"), "thigh": ("-X", "Z", "left"),
           "shin": ("-X", "Z", "left"), "foot": ("-X", "Z", "left"), "toe": ("-X", "Z", "left")}

_HUMANOID = _words(
    "Hips LeftUpperLeg RightUpperLeg Spine LeftLowerLeg RightLowerLeg Chest LeftFoot RightFoot UpperChest LeftToes "
    "RightToes Neck LeftShoulder RightShoulder Head LeftUpperArm RightUpperArm LeftLowerArm RightLowerArm LeftHand "
    "RightHand LeftMiddleProximal RightMiddleProximal")

CONVENTIONS = {c.name: c for c in (
    Convention("smpl", "root", _words(
        "Pelvis L_Hip R_Hip Spine1 L_Knee R_Knee Spine2 L_Ankle R_Ankle Spine3 L_Foot R_Foot Neck L_Collar R_Collar "
        "Head L_Shoulder R_Shoulder L_Elbow R_Elbow L_Wrist R_Wrist L_Hand R_Hand"), {}),
    Convention("mixamo", "root", tuple(f"mixamorig:{n}" for n in _words(
        "Hips LeftUpLeg RightUpLeg Spine LeftLeg RightLeg Spine1 LeftFoot RightFoot Spine2 LeftToeBase RightToeBase "
        "Neck LeftShoulder RightShoulder Head LeftArm RightArm LeftForeArm RightForeArm LeftHand RightHand "
        "LeftHandMiddle1 RightHandMiddle1")), _MIXAMO),
    Convention("unreal", "root", _words(
        "pelvis thigh_l thigh_r spine_01 calf_l calf_r spine_03 foot_l foot_r spine_05 ball_l ball_r neck_01 "
        "clavicle_l clavicle_r head upperarm_l upperarm_r lowerarm_l lowerarm_r hand_l hand_r middle_01_l "
        "middle_01_r"), _UNREAL,
        (("spine_02", 3, 6, 0.5), ("spine_04", 6, 9, 0.5), ("neck_02", 12, 15, 0.5),
         ("middle_metacarpal_l", 20, 22, 0.3), ("middle_metacarpal_r", 21, 23, 0.3)), mirrored=True,
        twists=("lowerarm_twist_01_l", "lowerarm_twist_01_r")),
    Convention("unity", "Root", _HUMANOID, _Y_ALONG),
    Convention("godot", "Root", _HUMANOID, _Y_ALONG),
    Convention("rigify", "root", _words(
        "spine thigh.L thigh.R spine.001 shin.L shin.R spine.002 foot.L foot.R spine.003 toe.L toe.R spine.004 "
        "shoulder.L shoulder.R spine.006 upper_arm.L upper_arm.R forearm.L forearm.R hand.L hand.R f_middle.01.L "
        "f_middle.01.R"), _RIGIFY,
        (("spine.005", 12, 15, 0.5), ("palm.02.L", 20, 22, 0.2), ("palm.02.R", 21, 23, 0.2))),
)}


def convention(name: str) -> Convention:
    """By name; raises ExportError that lists those there are."""
    if name not in CONVENTIONS:
        raise ExportError(f"There is no bone naming “{name}”.", f"Use one of: {', '.join(CONVENTIONS)}.")
    return CONVENTIONS[name]


def skeleton_of(rig: Rig, names: Convention) -> Skeleton:
    """The bones of `rig` under an engine's names, with its axes and its additional bones."""
    ahead = {(before, after): (name, share) for name, before, after, share in names.between}
    bones = [names.root]
    parents, heads, joints, weighted = [-1], [np.zeros(3)], [-1], [False]
    own: dict[int, int] = {}
    for joint, parent in enumerate(rig.parents):
        above = own[parent] if parent >= 0 else 0
        if (parent, joint) in ahead:
            name, share = ahead[parent, joint]
            bones.append(name)
            parents.append(above)
            heads.append((1 - share) * rig.joints[parent] + share * rig.joints[joint])
            joints.append(int(parent))
            weighted.append(False)
            above = len(bones) - 1
        own[joint] = len(bones)
        bones.append((*names.bones, *names.twists)[joint])
        parents.append(above)
        heads.append(rig.joints[joint])
        joints.append(joint)
        weighted.append(True)
    along = np.array([_along(rig, joint) for joint in range(len(rig.parents))])
    axes, lengths = [np.eye(3)], [0.2]
    for bone in range(1, len(bones)):
        axes.append(_axes(along[joints[bone]], joints[bone], names))
        child = [heads[c] for c in range(len(bones)) if parents[c] == bone and joints[c] == _CHILD.get(joints[bone])]
        lengths.append(float(np.linalg.norm(child[0] - heads[bone] if child else along[joints[bone]])))
    return Skeleton(tuple(bones), np.array(parents), np.array(heads), np.array(axes), np.array(lengths),
                    np.array(joints), np.array(weighted))


def motion_of(rig: Rig, skeleton: Skeleton, in_place: bool = False) -> Motion:
    """The rig's motion as local motion of a skeleton's bones.

    The root bone follows the pelvis along the floor (y = 0) and never turns; in_place: it stays at 0, and the pelvis
    only rises and sinks.
    """
    turns = np.concatenate([np.tile(np.eye(3), (len(rig.pelvis), 1, 1, 1)), rig.rotations], 1)[:, skeleton.joints + 1]
    local = turns.copy()
    for bone in range(1, len(skeleton.names)):
        local[:, bone] = turns[:, skeleton.parents[bone]].swapaxes(1, 2) @ turns[:, bone]
    local = skeleton.axes.swapaxes(1, 2) @ local @ skeleton.axes
    floor = rig.pelvis * [1, 0, 1]
    root = np.zeros_like(floor) if in_place else floor
    return Motion(steady(quaternion_of(local)), root, rig.pelvis - floor - rig.joints[0])


def coarsest_step(rig: Rig, limit: float, most: int = 30) -> int:
    """How many frames a step may be so that no bone's end, played between keys, is off by more than `limit` mm."""
    quaternions = steady(quaternion_of(rig.local))
    count, ends = len(rig.pelvis), np.array([_along(rig, joint) for joint in range(len(rig.parents))])

    def tips(local: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
        turns = matrix_of(local)
        for bone in range(1, len(rig.parents)):
            turns[:, bone] = turns[:, rig.parents[bone]] @ turns[:, bone]
        moved = replace(rig, rotations=turns, pelvis=pelvis)
        return moved.places + np.einsum("nbij,bj->nbi", turns, ends)

    exact, best = tips(quaternions, rig.pelvis), 1
    for step in range(2, min(most, count - 1) + 1):
        keys = np.arange(0, count, step)
        rows = np.arange(keys[-1] + 1)  # the rest after the last key is not exported
        low = np.minimum(rows // step, max(len(keys) - 2, 0))
        share = (rows / step - low)[:, None]
        a, b = (quaternions[keys[i]] for i in (low, low + 1))
        mixed = a + share[..., None] * (b - a)
        mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
        path = rig.pelvis[keys[low]] + share * (rig.pelvis[keys[low + 1]] - rig.pelvis[keys[low]])
        if 1000 * np.linalg.norm(tips(mixed, path) - exact[rows], axis=-1).max() > limit:
            break
        best = step
    return best


def matrix_of(quaternions: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), w x y z -> rotations (..., 3, 3)."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternion_of(matrices: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) -> unit quaternions (..., 4), w x y z; well-conditioned for every angle (Shepperd)."""
    m = matrices
    trace = np.einsum("...ii->...", m)
    diagonal = np.einsum("...ii->...i", m)
    size = np.concatenate([trace[..., None], 2 * diagonal - trace[..., None]], -1)  # 4 q_i^2 - 1
    a, b, c = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    d, e, f = (m[..., i, j] + m[..., j, i] for i, j in ((1, 0), (0, 2), (2, 1)))
    one = 1 + size
    table = np.stack([np.stack(row, -1) for row in (
        (one[..., 0], a, b, c), (a, one[..., 1], d, e), (b, d, one[..., 2], f), (c, e, f, one[..., 3]))], -2)
    best = np.argmax(size, -1)[..., None, None]
    q = np.take_along_axis(table, best, -2)[..., 0, :]
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def steady(quaternions: np.ndarray) -> np.ndarray:
    """(N, ..., 4): the same rotations, each frame on the side of the sphere where the one before is; first w >= 0."""
    turn = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    first = np.where(quaternions[:1, ..., 0] < 0, -1.0, 1.0)
    return quaternions * np.cumprod(np.concatenate([first, turn]), 0)[..., None]


def _along(rig: Rig, joint: int) -> np.ndarray:
    """(3,) from a bone's head to its end, metres."""
    if joint in _CHILD:
        return rig.joints[_CHILD[joint]] - rig.joints[joint]
    return np.array(_ENDS[joint], float) if joint in _ENDS else rig.joints[joint] - rig.joints[rig.parents[joint]]


def _axes(along: np.ndarray, joint: int, names: Convention) -> np.ndarray:
    if not names.axes:
        return np.eye(3)
    first, second, look = names.axes[next(g for g, members in GROUPS.items() if joint in members)]
    side = 1 if joint in _LEFT or joint in GROUPS["spine"] else -1
    towards = {"up": (0, 1, 0), "down": (0, -1, 0), "front": (0, 0, 1), "back": (0, 0, -1), "left": (1, 0, 0),
               "out": (side, 0, 0)}[look]
    turned = side if names.mirrored else 1
    a = turned * (-1 if first[0] == "-" else 1) * along / np.linalg.norm(along)
    b = turned * np.array(towards, float)
    b = b - a * (a @ b)
    b /= np.linalg.norm(b)
    at, to = "XYZ".index(first[-1]), "XYZ".index(second)
    out = np.empty((3, 3))
    out[:, at], out[:, to] = a, b
    rest = 3 - at - to
    out[:, rest] = np.cross(out[:, (rest + 1) % 3], out[:, (rest + 2) % 3])
    return out
