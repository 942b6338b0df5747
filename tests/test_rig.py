"""A skeleton fitted to vertices: it finds the motion and the body that made them, and says how far it is off."""
from __future__ import annotations

import numpy as np
import pytest
from walking_take import walk

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.conventions import CONVENTIONS, convention, motion_of, quaternion_of, skeleton_of, steady
from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.core.pca import SAMPLES, compact, correctives
from pose2mesh_blender.core.rig import Rig, distances, fit_rig, nearest_rotation, rotation_of


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def dance(body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, global rotations and pelvis of 30 frames of a body of unusual shape that moves everything it has."""
    rng = np.random.default_rng(1)
    shape = np.zeros((30, 16), np.float32)
    shape[:, :4] = [1.5, -1.0, 1.0, 0.5]
    swing = np.sin(np.linspace(0, 5, 30)[:, None, None] + rng.uniform(0, 6, (24, 3)))
    local = rotation_of(swing * 0.4)
    local[:, [18, 19]] = rotation_of(swing[:, [18, 19]] * [1.3, 0.5, 1.0])  # forearms twist, too
    rotations = local.copy()
    rotations[:, 0] = rotation_of(np.linspace(0, 7, 30)[:, None] * [0.1, 1, 0.05])  # more than a whole turn
    for joint in range(1, 24):
        rotations[:, joint] = rotations[:, body.parents[joint]] @ local[:, joint]
    vertices, joints = body.pose(rotations.astype(np.float32), shape)
    path = np.stack([np.linspace(-1, 2, 30), np.full(30, 0.2), np.linspace(0, -1.5, 30)], 1).astype(np.float32)
    return 1.1 * (vertices + path[:, None]), rotations, 1.1 * (joints[:, 0] + path)


@pytest.fixture(scope="module")
def rig(dance) -> Rig:
    return fit_rig(dance[0])


def test_the_mesh_is_met(rig, dance):
    found = distances(rig, dance[0])
    assert found.mean.max() < 1
    assert found.max.max() < 5


def test_rotations_and_places_are_those_that_made_it(rig, dance):
    _, rotations, pelvis = dance
    angle = np.degrees(np.arccos(np.clip((np.einsum("nbij,nbij->nb", rig.rotations, rotations) - 1) / 2, -1, 1)))
    assert angle.max() < 3
    assert angle[:, [18, 19]].max() < 1.5  # forearms, twist included
    assert np.abs(rig.pelvis - pelvis).max() < 0.01


def test_bones_have_the_lengths_of_the_person(rig, body):
    shape = np.zeros(16)
    shape[:4] = [1.5, -1.0, 1.0, 0.5]
    _, joints = body.rest(shape)

    def lengths(places):
        return np.linalg.norm(places[..., 1:, :] - places[..., body.parents[1:], :], axis=-1)

    assert np.abs(lengths(rig.joints) - 1.1 * lengths(joints)).max() < 0.008
    assert np.ptp(lengths(rig.places), axis=0).max() < 1e-9


def test_rest_is_a_t_pose_on_the_floor_and_an_a_pose_when_asked(rig, dance):
    assert rig.rest[:, 1].min() == pytest.approx(0, abs=1e-6)
    assert np.allclose(rig.joints[0, [0, 2]], 0, atol=2e-3)
    arm = rig.joints[18] - rig.joints[16]
    assert abs(np.degrees(np.arctan2(arm[1], arm[0]))) < 10
    lowered = fit_rig(dance[0], pose="A")
    for shoulder, elbow in ((16, 18), (17, 19)):
        arm = lowered.joints[elbow] - lowered.joints[shoulder]
        assert np.degrees(np.arctan2(arm[1], abs(arm[0]))) == pytest.approx(-45, abs=0.1)
    assert distances(lowered, dance[0]).mean.mean() < 3
    assert np.allclose(lowered.places, rig.places, atol=0.02)


def test_weights_are_few_and_sum_to_one(rig):
    assert (rig.weights > 0).sum(1).max() <= 4
    assert np.allclose(rig.weights.sum(1), 1, atol=1e-6)


def test_correctives_keep_their_budget(rig, dance):
    """Vertices that no skeleton reaches: a belly that breathes and a bulging thigh."""
    breath = np.sin(np.linspace(0, 9, 30))[:, None, None].astype(np.float32)
    near = np.exp(-np.square(np.linalg.norm(rig.rest - rig.joints[3], axis=1) / 0.15))[:, None].astype(np.float32)
    bulge = np.exp(-np.square(np.linalg.norm(rig.rest - rig.joints[4], axis=1) / 0.15))[:, None].astype(np.float32)
    normal = np.array([0, 0, 1], np.float32)
    bent = np.concatenate([rig.skin(slice(i, i + 1), rig.rest + 0.09 * (b * near + b * b * bulge) * normal)
                           for i, b in enumerate(breath)])
    plain = distances(rig, bent)
    found = correctives(rig, bent, 0.2)
    assert plain.mean.max() > 3
    assert 1 <= len(found.shapes) <= 3
    assert found.weights.min() >= 0 and found.weights.max() <= 1 + 1e-6
    shown = np.stack([rig.skin(slice(i, i + 1), found.points(i))[0] for i in range(30)])
    gap = 1000 * np.linalg.norm(shown - bent, axis=2).mean()
    assert gap < 0.25
    assert gap == pytest.approx(found.error.mean.mean(), abs=0.05)


def test_compact_shapes_say_their_error(dance):
    vertices = dance[0] - dance[2][:, None].astype(np.float32)
    loose, tight = compact(vertices, 20), compact(vertices, 2)
    assert len(loose.shapes) < len(tight.shapes)
    for found, budget in ((loose, 20), (tight, 2)):
        gap = np.concatenate([np.linalg.norm(found.points(i) - vertices[i], axis=1) for i in range(30)])
        assert 1000 * gap.mean() == pytest.approx(found.error.mean.mean(), rel=0.01)
        assert found.error.mean.mean() <= budget
    bounded = compact(vertices, 20, largest=15)
    assert len(bounded.shapes) > len(loose.shapes)
    off = [1000 * np.linalg.norm(bounded.points(i) - vertices[i], axis=1).max() for i in range(30)]
    assert max(off) == pytest.approx(bounded.error.max.max(), rel=0.01)
    assert max(off) < 15 < loose.error.max.max()
    assert bounded.error.within(20, 15) and not loose.error.within(20, 15)
    still = compact(np.repeat(vertices[:1], 3, 0), 1)
    assert len(still.shapes) == 0
    assert np.abs(still.points(2) - vertices[0]).max() < 1e-5


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_every_convention_moves_the_bones_as_the_rig_does(rig, name):
    """Forward kinematics from nothing but what a file holds: rest axes, heads, local quaternions, root and pelvis."""
    skeleton = skeleton_of(rig, convention(name))
    motion = motion_of(rig, skeleton)
    assert len(set(skeleton.names)) == len(skeleton.names)
    assert (skeleton.parents[1:] < np.arange(1, len(skeleton.names))).all()
    assert np.allclose(np.linalg.det(skeleton.axes), 1)
    w, v = motion.rotations[..., :1], motion.rotations[..., 1:]
    turn, place = [], []
    for bone, parent in enumerate(skeleton.parents):
        x = np.eye(3)[:, None, None]
        basis = np.moveaxis(x + 2 * np.cross(v[:, bone], w[:, bone] * x + np.cross(v[:, bone], x)), 0, -1)
        own = skeleton.axes[bone] @ basis[0 if basis.ndim == 5 else ...].reshape(-1, 3, 3)
        if parent < 0:
            turn.append(own)
            place.append(motion.root)
            continue
        step = skeleton.heads[bone] - skeleton.heads[parent]
        up = turn[parent] @ skeleton.axes[parent].T
        turn.append(up @ own)
        place.append(place[parent] + up @ step + (motion.pelvis if skeleton.names[bone] == convention(name).bones[0]
                                                  else 0))
    for bone in np.flatnonzero(skeleton.weighted):
        assert np.abs(place[bone] - rig.places[:, skeleton.joints[bone]]).max() < 1e-6
        assert np.abs(turn[bone] - rig.rotations[:, skeleton.joints[bone]] @ skeleton.axes[bone]).max() < 1e-6


def test_quaternions_do_not_flip(rig):
    motion = motion_of(rig, skeleton_of(rig, convention("unity")))
    assert (np.abs(np.linalg.norm(motion.rotations, axis=-1) - 1) < 1e-9).all()
    assert ((motion.rotations[1:] * motion.rotations[:-1]).sum(-1) > 0.9).all()
    angles = rotation_of(np.linspace(0, 4 * np.pi, 50)[:, None] * [0.0, 1, 0])
    assert ((lambda q: (q[1:] * q[:-1]).sum(-1))(steady(quaternion_of(angles))) > 0.9).all()


def test_root_stays_on_the_floor_and_in_place_stays_at_zero(rig):
    skeleton = skeleton_of(rig, convention("unreal"))
    free, still = motion_of(rig, skeleton), motion_of(rig, skeleton, in_place=True)
    assert (free.root[:, 1] == 0).all()
    assert np.allclose(free.root[:, [0, 2]], rig.pelvis[:, [0, 2]])
    assert (still.root == 0).all()
    assert np.allclose(still.pelvis[:, [0, 2]], 0, atol=2e-3)
    assert np.allclose(still.rotations, free.rotations)


def test_engines_axes(rig):
    """Godot's reference poses, and x along mirrored bones in Unreal."""
    godot = skeleton_of(rig, convention("godot"))
    at = godot.names.index
    assert np.allclose(godot.axes[at("LeftLowerArm")], np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]), atol=0.3)
    assert np.allclose(godot.axes[at("RightUpperLeg")], np.diag([-1, -1, 1]), atol=0.3)
    unreal = skeleton_of(rig, convention("unreal"))
    at = unreal.names.index
    step = {side: unreal.axes[at(f"lowerarm_{side}")].T @ (unreal.heads[at(f"hand_{side}")]
                                                          - unreal.heads[at(f"lowerarm_{side}")]) for side in "lr"}
    assert step["l"][0] > 0.2 and np.allclose(step["l"][1:], 0, atol=1e-9)
    assert step["r"][0] < -0.2 and np.allclose(step["r"][1:], 0, atol=1e-9)
    assert unreal.names[unreal.parents[at("spine_03")]] == "spine_02"


def test_a_still_walk_and_a_single_frame_fit(body):
    vertices, _ = walk(1, body)
    assert distances(fit_rig(vertices), vertices).mean.max() < 2


def test_a_bound_holds_in_every_frame_or_is_said_not_to(dance):
    """Of 900 frames only some are looked at for shapes; the one that sticks out is not among them."""
    few = dance[0][:, :500] - dance[2][:, None].astype(np.float32)
    vertices = few[np.clip(np.arange(900) // 30, 0, 29)]
    sampled = np.unique(np.linspace(0, 899, SAMPLES).astype(int))
    odd = np.setdiff1d(np.arange(900), sampled)[100]
    vertices[odd] = np.mean(few[[3, 20]], 0) + few[8] - few[15]
    found = compact(vertices, 1, largest=2)
    off = 1000 * max(np.linalg.norm(found.points(i) - vertices[i], axis=1).max() for i in range(900))
    assert off < 2.01 and found.error.within(1, 2)
    capped = compact(vertices, 1, largest=2, most=3)
    assert len(capped.shapes) == 3 and not capped.error.within(1, 2)


def test_what_cannot_be_fitted_is_refused(dance):
    broken = dance[0].copy()
    broken[3, 5] = np.nan
    with pytest.raises(ExportError, match="without a place"):
        fit_rig(broken)
    with pytest.raises(ExportError, match="no frame"):
        fit_rig(broken[:0])
    with pytest.raises(ExportError, match="mixamo"):
        convention("maya")


def test_nearest_rotation_of_a_mirror_is_a_rotation():
    turned = nearest_rotation(np.diag([1.0, 1.0, -1.0])[None])
    assert np.linalg.det(turned) == pytest.approx(1)
