"""Whom a take shows: merging, splitting, benching and smoothing people, and nothing of anybody else moves."""
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from solved_people import COUNT, solved_people

from pose2mesh_blender.core import resmooth, roster
from pose2mesh_blender.core.errors import Cancelled, TakeError
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.pipeline import Settings, solve_take
from pose2mesh_blender.core.take import Take


@pytest.fixture(scope="module")
def network():
    return load_network("cpu")


@pytest.fixture(scope="module")
def solved(tmp_path_factory, network) -> Path:
    """Two people, the second of whom the tracker took for a third from row 14 on."""
    folder = tmp_path_factory.mktemp("roster") / "take"
    solved_people(folder, network)
    return folder


@pytest.fixture
def take(solved, tmp_path):
    import shutil

    shutil.copytree(solved, tmp_path / "take")
    with Take.open(tmp_path / "take", write=True) as opened:
        yield opened


def fingerprint(take: Take, person: int) -> str:
    return hashlib.sha256(take.vertices(person).tobytes() + take.translation(person).tobytes()).hexdigest()


def is_solved(take: Take, network) -> bool:
    """Whether solving the take again finds nothing to do."""
    before = {p: fingerprint(take, p) for p in take.people}
    solve_take(take, network, Settings(smooth=0.3))
    return before == {p: fingerprint(take, p) for p in take.people}


def test_merge_makes_one_person_and_leaves_the_others(take, network):
    ann, bob = fingerprint(take, 0), take.translation(1)
    made = roster.merge(take, [1, 2], network)
    assert take.people == [0, made]
    assert take.name(made) == "Bob"
    assert np.isfinite(take.translation(made)).all()
    assert np.isfinite(take.vertices(made)).all()
    assert np.abs(take.translation(made)[:13] - bob[:13]).max() < 0.3
    assert fingerprint(take, 0) == ann
    assert take.done.all()
    assert is_solved(take, network)
    with Take.open(take.folder) as again:
        assert again.people == [0, made]


def test_merge_is_undone_by_seating_the_old_ones(take, network):
    before = {p: fingerprint(take, p) for p in (0, 1, 2)}
    made = roster.merge(take, [1, 2], network)
    roster.seat(take, [0, 1, 2])
    assert {p: fingerprint(take, p) for p in take.people} == before
    assert is_solved(take, network)
    roster.seat(take, [0, made])
    assert take.name(made) == "Bob"


def test_where_two_overlap_the_better_seen_counts(take, network):
    keypoints = take.keypoints(2)
    keypoints[10:14] = take.keypoints(1)[10:14]
    keypoints[10:14, :, 2] = 0.3
    take.set_keypoints(2, keypoints, stale=np.zeros(0, int))
    made = roster.merge(take, [1, 2], network)
    assert np.allclose(take.keypoints(made)[10:14, :, 2], 0.9)


def test_split_gives_each_side_to_somebody(take, network):
    first, second = roster.split(take, 0, 9, network)
    assert take.people == [first, second, 1, 2]
    assert [take.name(first), take.name(second)] == ["Ann", "Ann B"]
    here = [np.isfinite(take.translation(p)).all(1) for p in (first, second)]
    assert here[0].tolist() == (~here[1]).tolist() == [row < 9 for row in range(COUNT)]
    with pytest.raises(TakeError, match="both sides"):
        roster.split(take, first, 12, network)


def test_corrections_go_along(take, network):
    rows, joints = np.array([3, 20]), np.array([9, 9])
    for person, at in ((1, 0), (2, 1)):
        take.set_edits(person, take.edits(person).changed(rows[at:at + 1], joints[at:at + 1],
                                                          np.array([[100.0, 50, 1]]), take.keypoints(person)))
    made = roster.merge(take, [1, 2], network)
    assert take.edits(made).rows.tolist() == [3, 20]
    first, second = roster.split(take, made, 14, network)
    assert (take.edits(first).rows.tolist(), take.edits(second).rows.tolist()) == ([3], [20])


def test_cancelled_merge_leaves_the_take_as_it_was(take, network):
    before = {p: fingerprint(take, p) for p in take.people}
    with pytest.raises(Cancelled):
        roster.merge(take, [1, 2], network, cancelled=lambda: True)
    with Take.open(take.folder) as again:
        assert {p: fingerprint(again, p) for p in again.people} == before
    assert is_solved(take, network)
    made = roster.merge(take, [1, 2], network)
    assert made > 3, "ids of a run that was stopped are not used again"


def test_benched_people_wait_and_come_back_solved(take, network):
    roster.seat(take, [0, 1])
    assert is_solved(take, network)
    solve_take(take, network, Settings(smooth=0.9))
    assert roster.stale(take, 2)
    with pytest.raises(TakeError, match="other settings"):
        roster.seat(take, [0, 1, 2])
    old = fingerprint(take, 2)
    roster.bring_back(take, [0, 1, 2], network)
    assert take.people == [0, 1, 2]
    assert fingerprint(take, 2) != old
    with pytest.raises(TakeError, match="at least one"):
        roster.seat(take, [])
    with pytest.raises(TakeError, match="no mesh"):
        roster.seat(take, [0, 77])


def test_rename_reaches_the_disk(take):
    roster.rename(take, 1, "Łukasz 🎬")
    with Take.open(take.folder) as again:
        assert again.name(1) == "Łukasz 🎬"
    with pytest.raises(TakeError, match="no person"):
        roster.rename(take, 9, "Nobody")


def jitter(path: np.ndarray) -> float:
    return float(np.abs(np.diff(path, 2, axis=0)).mean())


def test_smoothing_is_one_persons_and_reversible(take, network):
    others, raw = fingerprint(take, 1), fingerprint(take, 0)
    rough = jitter(take.joints(0)[:, 20])
    told = []
    resmooth.resmooth(take, 0, 1.0, network, focus=11, finished=lambda person, rows: told.append((person, *rows)))
    assert told[0] == (0, 11), "the frame that is looked at comes first"
    assert {r for t in told for r in t[1:]} == set(range(COUNT))
    assert jitter(take.joints(0)[:, 20]) < 0.6 * rough
    assert fingerprint(take, 1) == others
    assert is_solved(take, network)
    solve_take(take, network, Settings(smooth=0.3))
    resmooth.resmooth(take, 0, 0.3, network)
    now = take.vertices(0)
    with Take.open(take.folder) as again:
        assert again.info["smoothing"] == {"0": 0.3}
    assert raw != others
    assert np.isfinite(now).all()


def test_smoothing_there_and_back_gives_the_same_body(take, network):
    """As near as footing allows, which is found from one person instead of from all."""
    before = np.array(take.vertices(0))
    resmooth.resmooth(take, 0, 0.9, network)
    moved = np.abs(np.array(take.vertices(0)) - before).max()
    resmooth.resmooth(take, 0, 0.3, network)
    assert np.abs(np.array(take.vertices(0)) - before).max() < min(0.01, moved / 2)


def test_stopped_smoothing_is_finished_by_the_next(take, network):
    looks = iter([False, False, True])
    with pytest.raises(Cancelled):
        resmooth.resmooth(take, 0, 1.0, network, focus=5, cancelled=lambda: next(looks))
    with Take.open(take.folder) as again:
        assert again.info["unsmoothed"] == [0]
    told = []
    resmooth.resmooth(take, 0, 1.0, network, finished=lambda person, rows: told.extend(rows))
    assert sorted(told) == list(range(COUNT))
    assert take.info["unsmoothed"] == []


def test_a_free_shape_and_back(take, network):
    """Freed, one person's shape changes over the take and nobody else's does; locked again, it is what it was."""
    ann, shape, before = fingerprint(take, 0), take.shape(1), fingerprint(take, 1)
    resmooth.resmooth(take, 1, 0.3, network, free=True)
    free = take.shapes(1)
    assert free.shape == (COUNT, 16) and take.shapes(0).shape == (16,)
    assert fingerprint(take, 1) != before and fingerprint(take, 0) == ann and take.done.all()
    np.testing.assert_allclose(take.shape(1), free.mean(0), atol=1e-6)
    assert is_solved(take, network), "free_shapes is part of what the solve is known by"
    resmooth.resmooth(take, 1, 0.6, network)  # another smoothing leaves the shape alone
    assert np.array_equal(take.shapes(1), free)
    resmooth.resmooth(take, 1, 0.3, network, free=False)
    np.testing.assert_allclose(take.shapes(1), shape, atol=1e-5)
    assert is_solved(take, network)


def test_a_take_solved_with_free_shapes_keeps_them_when_a_marker_moves(take, network):
    from pose2mesh_blender.core.resolve import resolve, solved_with

    solve_take(take, network, Settings(smooth=0.3, free_shape=True))
    assert solved_with(take).free_shape and take.shapes(0).shape == (COUNT, 16)
    shapes, before = take.shapes(0), take.vertices(0).copy()
    keypoints = take.keypoints(0)
    moved = keypoints[12, 9] + [30, -20, 0]
    resolve(take, {0: take.edits(0).changed([12], [9], [[*moved[:2], 1]], keypoints)}, network)
    assert np.array_equal(take.shapes(0), shapes) and not np.array_equal(take.vertices(0)[12], before[12])
    assert take.solved.all()
