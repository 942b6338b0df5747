"""Feet that stand neither slide nor sink, and feet that do not stand are left alone."""
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from people import INTRINSICS, keypoints_of, turn

from pose2mesh_blender.core import contacts
from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import pixels_to_rays, project
from pose2mesh_blender.core.motion import Motion
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.placement import Floor, common_floor, fit_floor
from pose2mesh_blender.core.skeletons import BODY23, SMPL24_PARENTS
from pose2mesh_blender.core.solve import SolveSettings, mesh_frames, solve_motion, solve_rows
from pose2mesh_blender.core.stages import Known
from pose2mesh_blender.core.standing import hold_rows

FPS, COUNT = 30.0, 45
TIMES = np.arange(COUNT) / FPS
UP = np.array([0.0, -1.0, 0.0])
NETWORK = load_network("cpu")


@cache
def lunges() -> tuple[np.ndarray, np.ndarray]:
    """Somebody who bends the knees on the spot: vertices (T, 6890, 3), pelvis at 0, and the root path (T, 3).

    Seen from the front; the soles stay at one place, 1.3 m below the camera.
    """
    local = np.tile(np.eye(3), (COUNT, 24, 1, 1))
    for t in range(COUNT):
        bent = .35 * (1 - np.cos(2 * np.pi * t / 30))
        local[t, 16], local[t, 17] = turn("z", -1.2), turn("z", 1.2)
        for hip, knee, ankle in ((1, 4, 7), (2, 5, 8)):
            local[t, hip], local[t, knee], local[t, ankle] = turn("x", -bent), turn("x", 2 * bent), turn("x", -bent)
        local[t, 0] = np.diag([1.0, -1, -1]) @ turn("y", .4)
    for j in range(1, 24):
        local[:, j] = local[:, SMPL24_PARENTS[j]] @ local[:, j]
    body = embedded_body()
    vertices, _ = body.pose(local.astype(np.float32), np.zeros((COUNT, 16), np.float32))
    vertices = vertices - body.regress("h36m17", vertices)[:, :1]
    sole = np.flatnonzero(body.v_template[:, 1] < body.v_template[:, 1].min() + .01)
    return vertices, np.array([.1, 1.3, 4.0]) - vertices[:, sole].mean(1)


def track_of(vertices: np.ndarray, path: np.ndarray) -> contacts.Track:
    body, seen = embedded_body(), keypoints_of(vertices, path)
    points = J.lift_points(vertices, body.regress("smpl24", vertices), body).astype(float)
    rays = pixels_to_rays(seen[..., :2].astype(float), INTRINSICS)
    return contacts.Track(points, path, rays, seen[..., 2].astype(float), np.zeros(seen.shape[:2], bool), TIMES)


def standing(track: contacts.Track) -> np.ndarray:
    """(T, 4) bool: which spots stand."""
    out = np.zeros((len(track.path), 4), bool)
    for run in contacts.find_runs(track, UP):
        out[run.rows, run.spot] = True
    return out


def slide(vertices: np.ndarray, path: np.ndarray) -> float:
    """Millimetres a second that the soles move, over the whole clip."""
    body = embedded_body()
    sole = np.flatnonzero((body.weights[:, [7, 8, 10, 11]].sum(1) > .9)
                          & (body.v_template[:, 1] < body.v_template[:, 1].min() + .02))
    return float(np.linalg.norm(np.diff(vertices[:, sole] + path[:, None], axis=0), axis=-1).mean() * FPS * 1000)


def test_feet_that_stand_are_found_and_those_in_the_air_are_not() -> None:
    vertices, path = lunges()
    assert standing(track_of(vertices, path)).mean() > .95
    height = np.maximum(0, 1.5 * np.sin(2 * np.pi * TIMES / .9) / 4.0)  # jumps of about 0.4 m
    jump = standing(track_of(vertices, path + height[:, None] * UP))
    assert not jump[height > .08].any() and jump[height == 0].mean() > .4
    upside_down = vertices * [1, -1, 1]  # a handstand: the feet are still, and bear nothing
    assert not standing(track_of(upside_down, path)).any()
    walk_off = path + np.linspace(0, 2, COUNT)[:, None] * [1, 0, 0]  # the whole body glides: nobody walks like that
    assert not standing(track_of(vertices, walk_off)).any()


def test_the_floor_is_the_lowest_level_that_bears_and_steps_are_not_part_of_it() -> None:
    rng = np.random.default_rng(0)
    up = np.array([.08, -1, .1]) / np.linalg.norm([.08, -1, .1])
    flat = rng.uniform(-1.5, 1.5, (40, 3)) + [0, 0, 5]
    flat -= (flat @ up + 1.4)[:, None] * up  # 1.4 m below the camera
    flat += rng.normal(0, .01, flat.shape)
    box = flat[:15] + .5 * up
    places = np.concatenate([flat, box])
    found, below = fit_floor(places, np.full(len(places), .3), np.zeros(len(places), int), UP, 1)
    assert found @ up > np.cos(np.radians(1.5)), "gravity from footprints, though the posture said level"
    assert below[0] == pytest.approx(1.4, abs=.03)
    alone, below = fit_floor(flat[:1], np.ones(1), np.array([1]), UP, 2)
    np.testing.assert_allclose(alone, UP, atol=.02)
    assert np.isnan(below[0]) and np.isfinite(below[1])


def test_people_on_one_floor_agree_on_it_and_somebody_on_a_box_keeps_the_size() -> None:
    below = np.array([1.5, 1.65, np.nan, 1.0])
    sizes = common_floor(below)
    assert sizes[0] * below[0] == pytest.approx(sizes[1] * below[1])
    assert sizes[2] == sizes[3] == 1


def test_bones_keep_their_length_and_the_ankle_arrives_where_it_can() -> None:
    rng = np.random.default_rng(1)
    hip, knee = rng.normal(0, .05, (200, 3)), rng.normal(0, .05, (200, 3)) + [0, .4, -.05]
    ankle = knee + [0, .4, .05] + rng.normal(0, .05, (200, 3))
    wanted = ankle + rng.normal(0, .15, (200, 3))
    reached, bent = contacts.bend(hip, knee, ankle, wanted, np.tile([0.0, 0, -1], (200, 1)))
    for a, b, c, d in ((hip, knee, hip, bent), (knee, ankle, bent, reached)):
        np.testing.assert_allclose(np.linalg.norm(b - a, axis=1), np.linalg.norm(d - c, axis=1), rtol=1e-6)
    length = np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1)
    near = np.linalg.norm(wanted - hip, axis=1) < .99 * length
    np.testing.assert_allclose(reached[near], wanted[near], atol=1e-6)
    assert 50 < near.sum() < 150


def solved(feet: bool, keypoints: np.ndarray, by_hand: np.ndarray | None = None) -> Motion:
    return solve_motion(keypoints, TIMES, INTRINSICS, NETWORK, SolveSettings(feet=feet), by_hand=by_hand)


def noisy() -> np.ndarray:
    keypoints = keypoints_of(*lunges())
    keypoints[..., :2] += np.random.default_rng(0).normal(0, 3, keypoints[..., :2].shape)
    return keypoints


def test_the_mesh_stands_still_on_the_floor_and_stays_over_the_person() -> None:
    keypoints, body = noisy(), embedded_body()
    before, after = solved(False, keypoints), solved(True, keypoints)
    meshes = [mesh_frames(m, NETWORK, np.arange(COUNT)) for m in (before, after)]
    assert before.footing is None and after.footing is not None
    assert slide(meshes[1], after.translation) < min(30, .25 * slide(meshes[0], before.translation))
    heights = after.footing.scaled_floor.height(meshes[1] + after.translation[:, None])
    assert np.abs(heights.min(1)).max() < .015, "neither sunk nor floating"

    def error(motion: Motion, vertices: np.ndarray) -> float:
        points = J.lift_points(vertices, body.regress("smpl24", vertices), body)
        seen = project(J.detector_points(points, 1.0) + motion.translation[:, None], INTRINSICS)
        return float(np.linalg.norm(seen - keypoints[..., :2], axis=-1).mean() / np.ptp(keypoints[..., 1]))

    assert error(after, meshes[1]) < error(before, meshes[0]) + .005


def test_a_foot_dragged_by_hand_goes_where_it_is_put() -> None:
    keypoints = noisy()
    by_hand = np.zeros(keypoints.shape[:2], bool)
    row, foot = 20, [BODY23.index(f"left_{n}") for n in ("ankle", "big_toe", "small_toe", "heel")]
    keypoints[row - 3:row + 4, foot, 0] += 40
    keypoints[row - 3:row + 4, foot, 2] = 1
    by_hand[row - 3:row + 4, foot] = True
    motion, free = solved(True, keypoints, by_hand), solved(False, keypoints, by_hand)
    heel = J.NAMES.index("left_heel")

    def seen(m: Motion) -> np.ndarray:
        points = J.lift_points(v := mesh_frames(m, NETWORK, np.array([row])), embedded_body().regress("smpl24", v),
                               embedded_body())
        return project(points[:, heel] + m.translation[row], INTRINSICS)[0]

    assert motion.footing is not None
    assert abs(seen(motion)[0] - seen(free)[0]) < 12, "not held back at the footprint, 40 pixels away"


def test_a_part_of_a_take_is_held_by_the_footprints_of_the_whole(tmp_path) -> None:
    keypoints = noisy()
    whole = solved(True, keypoints)
    again = contacts.Footing.from_arrays(whole.footing.arrays())
    known = Known(keypoints, np.zeros(keypoints.shape[:2], bool), whole.stages)
    part = hold_rows(solve_rows(keypoints, TIMES, INTRINSICS, NETWORK, 8, 36, whole.shape, known), 8, 36, keypoints,
                     TIMES, INTRINSICS, NETWORK, again)
    rows = np.arange(16, 29)
    a, b = mesh_frames(whole, NETWORK, rows), mesh_frames(part, NETWORK, rows - 8)
    a, b = a + whole.translation[rows, None], b + part.translation[rows - 8, None]
    feet = embedded_body().weights[:, [7, 8, 10, 11]].sum(1) > .9
    assert np.linalg.norm(a - b, axis=-1)[:, feet].mean() < 5e-3


def test_nobody_stands_in_a_frame_or_two() -> None:
    vertices, path = lunges()
    short = solve_motion(keypoints_of(vertices, path)[:2], TIMES[:2], INTRINSICS, NETWORK)
    assert short.footing is None and short.valid.all()
    track = track_of(vertices, path)
    one = replace(track, points=track.points[:1], path=track.path[:1], rays=track.rays[:1], times=TIMES[:1],
                  confidence=track.confidence[:1], by_hand=track.by_hand[:1])
    assert contacts.find_runs(one, UP) == [] and Floor(UP, 1.3).height(np.array([0, 1.3, 4])) == pytest.approx(0)
