"""People keep their numbers: made-up walkers that cross, hide and come back, and real clips."""
from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest

from pose2mesh_blender.core.detection import PersonKeypoints, PoseEstimator
from pose2mesh_blender.core.footage import open_footage
from pose2mesh_blender.core.skeletons import BODY23_FLIP
from pose2mesh_blender.core.tracking import Tracker, assign

# A standing person, 1 unit tall, seen from the front: their left is on the picture's right.
X = [0, .03, -.03, .05, -.05, .12, -.12, .17, -.17, .18, -.18, .07, -.07, .08, -.08, .08, -.08,
     .09, .11, .07, -.09, -.11, -.07]
Y = [.1, .08, .08, .09, .09, .2, .2, .36, .36, .5, .5, .52, .52, .75, .75, .95, .95, 1., 1., .97, 1., 1., .97]


def person(x: float, y: float = 100, size: float = 300, wear: int = 0, phase: float = 0.0, noise: float = 0.0,
           seed: int = 0) -> PersonKeypoints:
    keypoints = np.column_stack([np.array(X) * size + x, np.array(Y) * size + y, np.full(23, 0.8)])
    keypoints[[13, 15, 17, 18, 19], 0] += 0.1 * size * np.sin(phase)
    keypoints[[14, 16, 20, 21, 22], 0] -= 0.1 * size * np.sin(phase)
    keypoints[:, :2] += np.random.default_rng(seed).normal(0, noise * size, (23, 2))
    appearance = np.zeros((2, 64), np.float32)
    appearance[:, wear] = 1
    return PersonKeypoints(keypoints.astype(np.float32), 0.8, appearance)


def follow(tracker: Tracker, frames: list[list[PersonKeypoints]], fps: float = 30, start: int = 0) -> list[list[int]]:
    return [[i for i, _ in tracker.update(start + n, (start + n) / fps, people)] for n, people in enumerate(frames)]


@pytest.mark.parametrize("same_clothes", [False, True])
def test_two_people_cross(same_clothes):
    frames = []
    for n in range(60):
        a = person(100 + 10 * n, wear=1, phase=n / 3, noise=0.01, seed=n)
        b = person(700 - 10 * n, y=110, wear=1 if same_clothes else 9, phase=n / 4, noise=0.01, seed=n + 1000)
        people = [a, b] if n % 2 else [b, a]
        if 28 <= n <= 32:
            people = [a]  # the one behind is hidden
        frames.append(people)
    ids = follow(Tracker(), frames)
    first = {True: ids[1][0], False: ids[1][1]}
    for n, row in enumerate(ids):
        if len(row) == 2:
            assert (row if n % 2 else row[::-1]) == [first[True], first[False]], n
    assert sorted(first.values()) == [0, 1]


def test_somebody_comes_back_after_seconds_and_a_stranger_is_new():
    there = [[person(200 + n, wear=3, seed=n)] for n in range(30)]
    tracker = Tracker()
    assert {i for row in follow(tracker, there) for i in row} == {0}
    nobody = follow(tracker, [[] for _ in range(60)], start=30)
    assert not any(nobody)
    back = follow(tracker, [[person(260 + n, wear=3)] for n in range(10)], start=90)
    assert {i for row in back for i in row} == {0}
    follow(tracker, [[] for _ in range(60)], start=100)
    stranger = follow(tracker, [[person(270 + n, wear=20)] for n in range(10)], start=160)
    assert {i for row in stranger for i in row} == {1}


def test_forgets_after_the_memory_span():
    tracker = Tracker()
    tracker.update(0, 0.0, [person(200)])
    assert tracker.update(1, 11.0, [person(200)])[0][0] == 1


def test_state_is_json_and_goes_on_exactly():
    frames = [[person(100 + 8 * n, wear=1, noise=0.02, seed=n), person(500 - 7 * n, wear=2, noise=0.02, seed=n + 99)]
              for n in range(40)]
    frames[5][0].keypoints[18] = (np.nan, np.nan, 0)
    whole, first = Tracker(), Tracker()
    expected = follow(whole, frames)
    found = follow(first, frames[:20])
    second = Tracker.from_state(json.loads(json.dumps(first.to_state(), allow_nan=False)))
    assert found + follow(second, frames[20:], start=20) == expected
    assert second.to_state() == whole.to_state()


def flipped(person: PersonKeypoints) -> PersonKeypoints:
    return PersonKeypoints(person.keypoints[BODY23_FLIP], person.score, person.appearance)


def left_is_right(keypoints: np.ndarray) -> bool:
    """Whether the left shoulder of the made-up front view is on the picture's right."""
    return bool(keypoints[5, 0] > keypoints[6, 0])


def test_short_exchanges_of_left_and_right_are_repaired():
    wrong = {*range(30, 34), 50, 51, 52, 70}
    tracker = Tracker()
    for n in range(100):
        seen = person(200 + 3 * n, phase=n / 5, noise=0.01, seed=n)
        out = tracker.update(n, n / 30, [flipped(seen) if n in wrong else seen])[0][1]
        assert left_is_right(out.keypoints), n
        assert np.array_equal(out.keypoints, seen.keypoints), n


def test_a_lasting_exchange_wins_and_a_wrong_start_does_not_stay():
    tracker, right = Tracker(), []
    for n in range(120):
        seen = person(200 + 2 * n, noise=0.01, seed=n)
        out = tracker.update(n, n / 30, [flipped(seen) if n < 3 or 40 <= n < 90 else seen])[0][1]
        right.append(left_is_right(out.keypoints))
    assert all(right[5:40])
    assert not any(right[56:90])  # half a second later the detector is believed
    assert all(right[107:])


def test_missing_joints_are_no_obstacle():
    tracker = Tracker()
    for n in range(20):
        seen = person(200 + 3 * n)
        seen.keypoints[[0, 7, 13]] = (np.nan, np.nan, 0)
        (i, out), = tracker.update(n, n / 30, [seen])
        assert i == 0 and out is seen
    json.dumps(tracker.to_state(), allow_nan=False)


def test_assignment_is_the_best_one():
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (3, 3), (2, 5), (5, 2), (4, 4), (5, 6)):
        for _ in range(20):
            affinity = rng.random((rows, columns))
            short, long = min(rows, columns), max(rows, columns)
            table = affinity if rows <= columns else affinity.T
            best = max(sum(table[i, j] for i, j in enumerate(p)) for p in permutations(range(long), short))
            pairs = assign(affinity)
            assert sum(affinity[pair] for pair in pairs) == pytest.approx(best)
            assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == short
    assert assign(np.zeros((0, 3))) == []


def ids_of(path, step: int, preset: str = "accurate") -> tuple[dict[int, int], int, dict[int, np.ndarray]]:
    estimator, tracker, seen, count, last = PoseEstimator(preset, "cpu"), Tracker(), {}, 0, {}
    for frame in open_footage(path).frames(step=step):
        count += 1
        for i, found in tracker.update(frame.index, frame.timestamp, estimator.estimate(frame.image)):
            seen[i] = seen.get(i, 0) + 1
            last[i] = found.keypoints
    return seen, count, last


def test_demo_clip_has_a_man_and_a_bystander(demo_clip):
    seen, count, last = ids_of(demo_clip, 4)
    assert seen == {0: count, 1: count}
    assert last[0][0, 0] > 200 and last[1][0, 0] < 80


@pytest.mark.parametrize(("clip", "people", "step"), [
    ("pose2sim_trial2_cam01.mp4", 3, 4), ("mmhuman3d_multi.mp4", 2, 2)])
def test_ids_are_stable_on_clips_of_several_people(shared, clip, people, step):
    seen, count, _ = ids_of(shared / "footage" / clip, step)
    assert seen == dict.fromkeys(range(people), count)
