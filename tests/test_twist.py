"""Twisted forearms: what linear skinning loses, and what the twist bones of the Unreal preset keep."""
from __future__ import annotations

import numpy as np
import pytest

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.conventions import convention, motion_of, skeleton_of
from pose2mesh_blender.core.rig import Rig, distances, fit_rig, rotation_of
from pose2mesh_blender.core.twist import with_twist_bones

ANGLES = np.linspace(0, 120, 13)  # degrees that the left hand turns about its forearm


@pytest.fixture(scope="module")
def rig() -> Rig:
    body = load_body()
    _, joints = body.rest(np.zeros(16))
    axis = (joints[20] - joints[18]) / np.linalg.norm(joints[20] - joints[18])
    local = np.tile(np.eye(3), (24, len(ANGLES), 1, 1))
    local[20] = rotation_of(np.radians(ANGLES)[:, None] * axis)
    local[18] = rotation_of(np.linspace(0, 1, len(ANGLES))[:, None] * [0, 0.8, 0])
    for joint in range(1, 24):
        local[joint] = local[body.parents[joint]] @ local[joint]
    vertices, _ = body.pose(local.transpose(1, 0, 2, 3).astype(np.float32), np.zeros((len(ANGLES), 16), np.float32))
    found = fit_rig(vertices)
    assert distances(found, vertices).mean.max() < 1
    return found


def girth(rig: Rig, frame: int) -> np.ndarray:
    """(10,) mean radius of the left forearm's slices from elbow to hand, against the first frame's."""
    along = rig.joints[20] - rig.joints[18]
    way = (rig.rest - rig.joints[18]) @ along / (along @ along)
    arm = rig.weights[:, [j for j in (16, 18, 20, 22, 24) if j < len(rig.parents)]].sum(1) > 0.9
    out = []
    for low in np.arange(0.1, 1.1, 0.1):
        ring = arm & (way >= low) & (way < low + 0.1)
        radii = []
        for n in (frame, 0):
            axis = rig.rotations[n, 18] @ along / np.linalg.norm(along)
            points = rig.skin(np.array([n]))[0][ring]
            points = points - points.mean(0)
            radii.append(np.linalg.norm(points - np.outer(points @ axis, axis), axis=1).mean())
        out.append(radii[0] / radii[1])
    return np.array(out)


def test_a_hand_that_turns_does_not_pinch_the_wrist(rig):
    right_angle = int(np.argmin(np.abs(ANGLES - 90)))
    assert girth(rig, right_angle).min() < 0.81  # what there is without
    assert girth(with_twist_bones(rig), right_angle).min() > 0.91
    assert girth(with_twist_bones(rig), len(ANGLES) - 1).min() > girth(rig, len(ANGLES) - 1).min() + 0.15


def test_the_bone_turns_by_half_without_a_jump(rig):
    safe = with_twist_bones(rig)
    turned = safe.rotations[:, 18].swapaxes(1, 2) @ safe.rotations[:, 24]
    angle = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert np.allclose(angle, ANGLES / 2, atol=1.5)
    assert np.allclose(safe.rotations[:, 25], safe.rotations[:, 19], atol=0.03)  # the other hand does not turn
    skeleton = skeleton_of(safe, convention("unreal"))
    assert {"lowerarm_twist_01_l", "lowerarm_twist_01_r"} <= set(skeleton.names) == convention("unreal").every_bone
    at = skeleton.names.index
    assert skeleton.names[skeleton.parents[at("lowerarm_twist_01_l")]] == "lowerarm_l"
    assert skeleton.names[skeleton.parents[at("hand_l")]] == "lowerarm_l"
    motion = motion_of(safe, skeleton)
    assert ((motion.rotations[1:] * motion.rotations[:-1]).sum(-1) > 0.9).all()
    along = motion.rotations[:, at("lowerarm_twist_01_l"), 2:]  # x runs along the bone, so y and z stay
    assert np.abs(along).max() < 0.01


def test_weights_stay_few_and_the_rest_of_the_body_is_as_before(rig):
    safe = with_twist_bones(rig)
    assert (safe.weights > 0).sum(1).max() <= 4
    assert np.allclose(safe.weights.sum(1), 1, atol=1e-6)
    assert np.allclose(safe.skin(np.array([0])), rig.skin(np.array([0])), atol=2e-4)
    changed = np.abs(safe.skin() - rig.skin()).max((0, 2)) > 1e-6
    assert changed.any() and rig.weights[changed][:, [18, 19]].min(1).max() == 0
    assert (rig.weights[changed][:, [18, 19]].max(1) > 0).all()
