"""The statistics of detections give back what was put in."""
from __future__ import annotations

import numpy as np
import pytest

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import intrinsics_from_focal, project
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.skeletons import BODY23_FLIP
from pose2mesh_blender.training.detector_residuals import (
    Pairs,
    episodes,
    facing,
    fit_mixture,
    load_pairs,
    memory,
    report,
    statistics,
)
from pose2mesh_blender.training.sequences import SequenceSampler
from pose2mesh_blender.training.synthetic import Motion, axis_angle_to_matrix

S, T = 60, 24
BIAS = np.array([.01, .05, -.02])  # of the hips: outward, up, front


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Random bodies that stand still, with a detector of known faults."""
    rng = np.random.default_rng(0)
    motion = Motion(axis_angle_to_matrix((rng.normal(size=(40, 24, 3)) * .25).astype(np.float32)), np.zeros(40, int),
                    np.arange(40))
    joints = SequenceSampler(embedded_body(), motion, 1).batch(S, 1, clean=1.0).joints
    points = np.repeat(joints + [0, 0, 3.5], T, 1).astype(np.float64)
    intrinsics = intrinsics_from_focal(640, 480, 500)
    truth = project(points[:, :, J.BODY], intrinsics)
    size = np.ptp(truth, 2).max(2)
    seen = points[:, :, J.BODY].copy()
    axes = J.keypoint_axes(points)
    for hip in (11, 12):
        seen[:, :, hip] += axes[:, :, hip] @ BIAS
    noise = np.empty((S, T, 23, 2))
    noise[:, 0] = rng.normal(size=(S, 23, 2))
    for t in range(1, T):
        noise[:, t] = .8 * noise[:, t - 1] + .6 * rng.normal(size=(S, 23, 2))
    found = project(seen, intrinsics) + .01 * noise * size[..., None, None]
    found = np.concatenate([found, np.full((S, T, 23, 1), .7)], -1)
    found[:6, 8:12] = found[:6, 8:12][:, :, BODY23_FLIP]  # four frames long
    found[:, :, [18, 21]] = np.nan, np.nan, 0
    found[0, :3] = np.nan, np.nan, 0
    everywhere = np.ones((S, T, 23), bool)
    return Pairs(found, truth, points, size, np.full(S, 500.0), everywhere, everywhere, 30.0)


def test_bias_noise_and_swaps_come_back(pairs: Pairs) -> None:
    found = statistics(pairs)
    np.testing.assert_allclose(found["joints"]["hip"]["bias_m"], BIAS, atol=.006)
    np.testing.assert_allclose(found["joints"]["knee"]["bias_m"], 0, atol=.006)
    assert abs(found["joints"]["ankle"]["visible"]["sigma"] - .01) < .0015
    assert found["joints"]["small_toe"].get("visible") is None
    whole = found["swaps"]["whole"]
    assert abs(whole["share"] - 24 / (S * T)) < .004 and abs(whole["seconds"] - 4 / 30) < .02
    assert found["swaps"]["legs"]["share"] < .01
    lags = found["memory"]["knees, ankles, visible"]
    assert abs(lags["lag1"] - .8) < .06 and abs(lags["lag4"] - .41) < .1
    assert abs(found["not_found"] - 3 / (S * T)) < 1e-6
    assert "| hip |" in report(found)


def test_mixture_and_episodes() -> None:
    rng = np.random.default_rng(1)
    far = rng.random(20000) < .1
    fit = fit_mixture(rng.normal(size=(20000, 2)) * np.where(far, .12, .01)[:, None])
    assert abs(fit["sigma"] - .01) < .001 and abs(fit["far"] - .1) < .01 and abs(fit["sigma_far"] - .12) < .01
    state = np.zeros((2, 20), bool)
    state[0, 3:8] = state[1, 10:15] = True
    assert abs(episodes(state, np.ones_like(state), 10.0)["seconds"] - .5) < 1e-9


def test_memory_tells_quick_from_constant() -> None:
    rng = np.random.default_rng(2)
    r = rng.normal(size=(300, 24, 1, 2)) + rng.normal(size=(300, 1, 1, 2))
    found = memory(r, np.ones((300, 24, 1), bool), 30.0)
    assert abs(found["constant"] - .5) < .06 and abs(found["quick"] - .5) < .08


def test_facing_and_axes() -> None:
    body = embedded_body()
    vertices, joints = body.pose(np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1)), np.zeros((1, 16), np.float32))
    points = J.lift_points(vertices, joints, body)[0]
    front, back = points @ np.diag([1, -1, -1]) + [0, 0, 3], points @ np.diag([-1, -1, 1]) + [0, 0, 3]
    assert facing(front) < 25 and facing(back) > 155
    axes = J.keypoint_axes(points)
    for left, right in ((11, 12), (13, 14), (5, 6), (15, 16)):
        np.testing.assert_allclose(axes[left, :, 1:] * [[-1], [1], [1]], axes[right, :, 1:], atol=.03)
        assert axes[left, 0, 0] > .9 and axes[right, 0, 0] < -.9 and axes[left, 1, 1] > .9 and axes[left, 2, 2] > .9


def test_parts_and_joined_file_read_the_same(tmp_path, pairs: Pairs) -> None:
    (tmp_path / "a.parts").mkdir()
    arrays = {"accurate": pairs.found.astype(np.float32), "points": pairs.points.astype(np.float32),
              "intrinsics": np.repeat(intrinsics_from_focal(640, 480, 500)[None], S, 0), "visible": pairs.visible,
              "image_size": np.tile([640, 480], (S, 1)), "timestamps": np.tile(np.arange(T) / 30, (S, 1))}
    np.savez(tmp_path / "a.npz", **{k: v[:2] for k, v in arrays.items()})
    for i in range(2):
        np.savez(tmp_path / "a.parts" / f"{i}.npz", **{k: v[i] for k, v in arrays.items()})
    one, many = load_pairs(tmp_path / "a.npz"), load_pairs(tmp_path / "a.parts")
    np.testing.assert_array_equal(one.found, many.found)
    np.testing.assert_allclose(one.truth, pairs.truth[:2], atol=.01)


def test_the_rendered_takes_that_are_bundled(root) -> None:
    """What the network is trained to expect of our detectors, still true of the bundled takes."""
    path = root / "tests" / "data" / "rendered" / "heldout.npz"
    pairs = load_pairs(path)
    assert pairs.found.shape == (84, 24, 23, 3) and pairs.points[..., 0, 2].min() > 1
    found = statistics(pairs)
    hip = found["joints"]["hip"]["bias_m"]
    assert .02 < hip[0] < .04 and .05 < hip[1] < .08, "MoveNet's hips lie outside and above the regressor's"
    assert found["joints"]["wrist"]["hidden"]["wild"] > 3 * found["joints"]["wrist"]["visible"]["wild"]
    whole = found["swaps"]["whole"]
    assert whole["back"] > .08 > .01 > whole["front"], "sides are swapped from behind"
    assert found["memory"]["hips, visible"]["lag1"] > .7 and found["not_found"] < .1
    fast = load_pairs(path, "fast")
    assert not np.isfinite(fast.found[:, :, 17:, 0]).any(), "the fast preset has no feet"
