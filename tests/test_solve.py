"""From keypoints to placed motion: overlay, depth, gaps, smoothing, height, the ground."""
from dataclasses import replace

import numpy as np
import pytest
from people import INTRINSICS, keypoints_of, turn, walk

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import intrinsics_from_fov, project
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.placement import fit_translation, world_from_camera
from pose2mesh_blender.core.solve import (
    SolveSettings,
    fit_shape,
    mesh_frames,
    solve_motion,
    solve_rows,
    window_of,
)
from pose2mesh_blender.core.stages import Known

NETWORK = load_network("cpu")


def walker(count: int = 40, **kw) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    vertices, _ = walk(count, **kw)
    path = np.stack([np.linspace(-.5, .5, count), np.full(count, .1), np.linspace(4.0, 4.6, count)], -1)
    return vertices, path, keypoints_of(vertices, path)


def test_mesh_lies_over_the_person_and_stands_where_it_should() -> None:
    _, path, keypoints = walker(yaw=.5)
    motion = solve_motion(keypoints, np.arange(40) / 30, INTRINSICS, NETWORK)
    assert motion.valid.all()
    found = mesh_frames(motion, NETWORK, np.arange(40))
    body = embedded_body()
    points = J.lift_points(found, body.regress("smpl24", found), body)
    pixels = project(J.detector_points(points, 1.0) + motion.translation[:, None], INTRINSICS)
    person = np.ptp(keypoints[..., 1])
    assert np.linalg.norm(pixels - keypoints[..., :2], axis=-1).mean() < .03 * person
    assert np.abs(motion.translation[:, :2] - path[:, :2]).mean() < .1
    assert np.abs(motion.translation[:, 2] / path[:, 2] - 1).mean() < .15


def test_absent_frames_stay_absent_and_short_gaps_are_bridged() -> None:
    _, _, keypoints = walker()
    keypoints[5:8] = keypoints[20:36] = (np.nan, np.nan, 0)
    motion = solve_motion(keypoints, np.arange(40) / 30, INTRINSICS, NETWORK)
    assert motion.valid[5:8].all() and not motion.valid[20:36].any()
    assert np.isnan(motion.translation[20:36]).all()
    raw = solve_motion(keypoints, np.arange(40) / 30, INTRINSICS, NETWORK, SolveSettings(smooth=0))
    assert not raw.valid[5:8].any()


def test_nobody_at_all() -> None:
    keypoints = np.full((6, 23, 3), np.nan, np.float32)
    motion = solve_motion(keypoints, np.arange(6) / 30, INTRINSICS, NETWORK)
    assert not motion.valid.any() and np.isfinite(motion.shape).all()


def test_one_frame_is_enough() -> None:
    _, _, keypoints = walker(1)
    motion = solve_motion(keypoints, np.zeros(1), INTRINSICS, NETWORK)
    assert motion.valid.all() and np.isfinite(mesh_frames(motion, NETWORK, np.arange(1))).all()


def test_smoothing_takes_jitter_and_leaves_the_walk() -> None:
    _, _, keypoints = walker()
    noisy = keypoints + np.random.default_rng(0).normal(0, 4, keypoints.shape) * [1, 1, 0]
    times = np.arange(40) / 30

    def joints(smooth: float, k: np.ndarray) -> np.ndarray:
        return solve_motion(k.astype(np.float32), times, INTRINSICS, NETWORK, SolveSettings(smooth=smooth)).joints

    raw, smooth, clean = joints(0, noisy), joints(.5, noisy), joints(0, keypoints)

    def jitter(x: np.ndarray) -> float:
        return np.linalg.norm(np.diff(x, 3, axis=0), axis=-1).mean()

    assert jitter(smooth) < .35 * jitter(raw)
    assert np.linalg.norm(smooth - clean, axis=-1).mean() < np.linalg.norm(raw - clean, axis=-1).mean()
    ankle = 24  # smpl left ankle
    assert np.ptp(smooth[5:-5, ankle], axis=0).max() > .7 * np.ptp(clean[5:-5, ankle], axis=0).max()


def test_height_rescales_person_and_path() -> None:
    _, _, keypoints = walker(10)
    times = np.arange(10) / 30
    plain = solve_motion(keypoints, times, INTRINSICS, NETWORK)
    tall = solve_motion(keypoints, times, INTRINSICS, NETWORK, SolveSettings(height=1.9))
    np.testing.assert_allclose(tall.translation, plain.translation * tall.scale, rtol=1e-5)
    big, small = (mesh_frames(m, NETWORK, np.arange(2)) for m in (tall, plain))
    np.testing.assert_allclose(big, small * tall.scale, atol=1e-5)


def test_translation_is_exact_on_exact_input_and_shrugs_off_an_outlier() -> None:
    rng = np.random.default_rng(0)
    points, t = rng.normal(size=(5, 23, 3)) * .5, np.c_[rng.normal(size=(5, 2)), rng.uniform(3, 6, 5)]
    seen = points + t[:, None]
    rays = seen[..., :2] / seen[..., 2:]
    np.testing.assert_allclose(fit_translation(points, rays, np.ones((5, 23))), t, atol=1e-5)
    rays[:, 0] += 1.0
    np.testing.assert_allclose(fit_translation(points, rays, np.ones((5, 23))), t, atol=.05)


@pytest.mark.parametrize("pitch", [0, .3, -.2])
def test_the_world_stands_on_its_feet(pitch: float) -> None:
    vertices, _ = walk(30, yaw=.7, pitch=pitch)
    body = embedded_body()
    at = np.array([.3, .2, 5.0])
    world = world_from_camera([body.regress("smpl24", vertices) + at])
    np.testing.assert_allclose(world[:3, :3] @ world[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(world[:3, :3]) == pytest.approx(1)
    placed = (vertices + at) @ world[:3, :3].T + world[:3, 3]
    assert abs(placed[..., 2].min()) < .08, "feet on the ground"
    assert 1.4 < placed[0, :, 2].max() < 1.9, "upright"
    up = np.diag([1.0, -1, -1]) @ turn("x", pitch) @ [0, 1, 0]
    assert world[2, :3] @ up > np.cos(np.radians(6)), "gravity found although the camera is tilted"


def test_fov_spans_the_longer_side() -> None:
    k = intrinsics_from_fov(1080, 1920, 60)
    assert np.degrees(2 * np.arctan(960 / k[0, 0])) == pytest.approx(60)


def test_a_corrected_keypoint_moves_the_mesh_there_and_little_else() -> None:
    """What the product is for: fix a joint on the footage and the mesh follows."""
    _, _, keypoints = walker(1, yaw=.4)
    moved = keypoints.copy()
    moved[0, 9, :2] += (35, -50)  # the left wrist
    moved[0, 9, 2] = 1
    body = embedded_body()

    def seen(k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        motion = solve_motion(k, np.zeros(1), INTRINSICS, NETWORK)
        vertices = mesh_frames(motion, NETWORK, np.arange(1))
        return project(body.regress("coco17", vertices) + motion.translation, INTRINSICS)[0], vertices[0]

    (before, first), (after, second) = seen(keypoints), seen(moved)
    assert np.linalg.norm(after[9] - before[9] - (35, -50)) < .45 * np.hypot(35, 50)
    legs = body.weights[:, [4, 5, 7, 8]].sum(1) > .9
    assert np.linalg.norm((second - first)[legs], axis=-1).mean() < .05


def test_another_body_takes_over_the_pose() -> None:
    """A foreign body of SMPL's connectivity: its own shape space, fitted to the person, in the solved pose."""
    import dataclasses

    own = embedded_body()
    rng = np.random.default_rng(0)
    mixed = np.tensordot(np.linalg.qr(rng.normal(size=(16, 16)))[0], own.shapedirs, 1)
    rest = dataclasses.replace(own, shapedirs=mixed[:10], J_shapedirs=np.tensordot(
        np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0], own.J_shapedirs, 1)[:10])
    _, _, keypoints = walker(3)
    motion = solve_motion(keypoints, np.arange(3) / 30, INTRINSICS, NETWORK)
    found, foreign = mesh_frames(motion, NETWORK, np.arange(3)), mesh_frames(motion, NETWORK, np.arange(3), rest)
    assert np.linalg.norm(found - foreign, axis=-1).mean() < .05
    assert np.abs(own.regress("h36m17", foreign)[:, 0]).max() < 1e-4


def test_the_height_is_that_of_another_body() -> None:
    """A small foreign body whose shape cannot grow: without its own height it would come out as small as it is."""
    import dataclasses

    own = embedded_body()
    small = dataclasses.replace(own, v_template=0.8 * own.v_template, J_template=0.8 * own.J_template,
                                shapedirs=1e-6 * own.shapedirs[:10], J_shapedirs=1e-6 * own.J_shapedirs[:10])
    _, _, keypoints = walker(3)
    times, settings = np.arange(3) / 30, SolveSettings(height=1.9)
    motion = solve_motion(keypoints, times, INTRINSICS, NETWORK, settings, body=small)
    rest, _ = small.rest(fit_shape(small, motion.shape))
    assert motion.scale * np.ptp(rest[:, 1]) == pytest.approx(1.9, abs=1e-3)
    theirs = mesh_frames(motion, NETWORK, np.arange(3), small)
    ours = mesh_frames(solve_motion(keypoints, times, INTRINSICS, NETWORK, settings), NETWORK, np.arange(3))
    assert np.median(np.ptp(theirs, axis=1)[:, 1] / np.ptp(ours, axis=1)[:, 1]) == pytest.approx(1, abs=0.06)


def test_a_locked_shape_is_one_body_and_a_free_one_follows() -> None:
    """A walker whose body changes from one end of the shape space to the other within five seconds."""
    count = 150
    shape = np.zeros((count, 16))
    shape[:, 0] = np.linspace(-2.5, 2.5, count)
    _, _, keypoints = walker(count, yaw=.3, shape=shape)
    times, rows = np.arange(count) / 30, np.array([10, 75, 140])

    def bones(free: bool) -> np.ndarray:
        """(3, 2) metres: left thigh and upper arm of the template under the mesh."""
        motion = solve_motion(keypoints, times, INTRINSICS, NETWORK, SolveSettings(feet=False, free_shape=free))
        assert motion.shape.shape == ((count, 16) if free else (16,))
        if free:
            assert np.abs(np.diff(motion.shape[:, 0])).max() < .05, "it breathes slowly"
            assert motion.shape[140, 0] - motion.shape[10, 0] > 1.2 and np.abs(motion.shape).max() <= 2.5
        shapes = motion.shape[rows] if free else np.tile(motion.shape, (3, 1))
        points = NETWORK.points(motion.joints[rows], shapes)[:, J.SMPL]
        mesh = mesh_frames(motion, NETWORK, rows)
        at_once = mesh_frames(motion, NETWORK, np.arange(count)[::-1])[::-1][rows]  # each row has its own shape
        np.testing.assert_allclose(mesh, at_once, atol=1e-5)
        return np.linalg.norm(points[:, [4, 18]] - points[:, [1, 16]], axis=-1)

    locked, free = bones(False), bones(True)
    assert np.ptp(locked, axis=0).max() < 1e-4
    assert np.ptp(free, axis=0).max() > .01


def test_a_free_shape_is_carried_to_a_foreign_body_frame_by_frame() -> None:
    shape = np.zeros((60, 16))
    shape[:, 0] = np.linspace(-2.5, 2.5, 60)
    _, _, keypoints = walker(60, shape=shape)
    body = embedded_body()
    foreign = replace(body, v_template=body.v_template * np.float32(1.01))
    motion = solve_motion(keypoints, np.arange(60) / 30, INTRINSICS, NETWORK,
                          SolveSettings(feet=False, free_shape=True), body=foreign)
    meshes = mesh_frames(motion, NETWORK, np.array([5, 55]), foreign)
    alone = np.concatenate([mesh_frames(motion, NETWORK, np.array([row]), foreign) for row in (5, 55)])
    np.testing.assert_allclose(meshes, alone, atol=1e-5)
    assert np.abs(fit_shape(foreign, motion.shape[55]) - fit_shape(foreign, motion.shape[5])).max() > .3


@pytest.mark.parametrize(("rows", "joints", "shift"), [
    ([110], [9], (40, -25)), (range(106, 114), [7, 9, 13, 15], (60, 30)), ([110], range(23), None)])
def test_a_part_is_solved_as_the_whole_take_would_be(rows, joints, shift) -> None:
    """A marker, some limbs over some frames, and a frame without the person."""
    count, settings = 220, SolveSettings(smooth=.3, feet=False)
    _, _, keypoints = walker(count, yaw=.4)
    keypoints[..., :2] += np.random.default_rng(0).normal(0, 2, (count, 23, 2)).astype(np.float32)
    times, by_hand = np.arange(count) / 30, np.zeros((count, 23), bool)
    before = solve_motion(keypoints, times, INTRINSICS, NETWORK, settings)
    changed, hand = keypoints.copy(), by_hand.copy()
    for row in rows:
        changed[row, joints] = [np.nan, np.nan, 0] if shift is None else changed[row, joints] + [*shift, 0]
        hand[row, joints] = shift is not None
    whole = solve_motion(changed, times, INTRINSICS, NETWORK, settings, shape=before.shape, by_hand=hand)
    first, last = window_of(rows[0], times, settings)[0], window_of(rows[-1], times, settings)[1]
    assert 0 < first and last < count - 1, "the window ends within the take"
    part = solve_rows(changed, times, INTRINSICS, NETWORK, first, last, before.shape,
                      Known(keypoints, by_hand, before.stages), settings, by_hand=hand)
    inside = slice(first, last + 1)
    np.testing.assert_array_equal(part.valid, whole.valid[inside])
    np.testing.assert_allclose(part.joints, whole.joints[inside], atol=5e-4)
    np.testing.assert_allclose(part.translation, whole.translation[inside], atol=1e-3)
    for mine, theirs in zip(part.stages, whole.stages):  # the next correction starts from these
        np.testing.assert_allclose(mine, theirs[inside], atol=1e-3)
    outside = np.r_[:first, last + 1:count]
    assert np.abs(whole.joints[outside] - before.joints[outside]).max() < 5e-4
    assert np.abs(whole.translation[outside] - before.translation[outside]).max() < 1e-3
    same = solve_rows(keypoints, times, INTRINSICS, NETWORK, first, last, before.shape,
                      Known(keypoints, by_hand, before.stages), settings)
    np.testing.assert_allclose(same.joints, before.joints[inside], atol=1e-4)
    np.testing.assert_allclose(same.translation, before.translation[inside], atol=1e-4)
