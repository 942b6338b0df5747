"""One keypoint is corrected: the mesh follows it, and nothing that the correction does not reach changes a bit."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from people import INTRINSICS, keypoints_of, walk
from test_footage import write_image

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import project
from pose2mesh_blender.core.edits import ABSENT, Edits, read_edits, write_edits
from pose2mesh_blender.core.errors import Cancelled, TakeError
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.pipeline import Settings, solve_take
from pose2mesh_blender.core.resolve import Memory, _Context, resolve
from pose2mesh_blender.core.skeletons import BODY23, SMPL24, SMPL24_PARENTS
from pose2mesh_blender.core.take import Take

COUNT, ROW, WRIST = 60, 30, BODY23.index("left_wrist")
NETWORK = load_network("cpu")


@pytest.fixture(scope="module")
def solved(tmp_path_factory) -> Path:
    """Two people who walk for two seconds, solved."""
    folder = tmp_path_factory.mktemp("solved") / "take"
    times = np.arange(COUNT) / 30
    with Take.create(folder, frames=np.arange(COUNT), timestamps=times, image_size=(960, 1080), fps=30.0,
                     intrinsics=INTRINSICS, footage={"path": "", "identity": {}, "kind": "video"}) as take:
        take.set_people({0: "Person 1", 4: "Person 2"})
        for person, side in ((0, -.4), (4, .5)):
            vertices, _ = walk(COUNT, yaw=.3)
            path = np.stack([np.full(COUNT, side), np.full(COUNT, .1), np.linspace(4.0, 4.4, COUNT)], -1)
            take.set_keypoints(person, keypoints_of(vertices, path))
        take.mark_detected(np.arange(COUNT))
        solve_take(take, NETWORK, Settings())
    return folder


@pytest.fixture
def take(solved, tmp_path):
    shutil.copytree(solved, tmp_path / "take")
    with Take.open(tmp_path / "take", write=True) as take:
        yield take


def shown(take: Take, person: int = 0) -> np.ndarray:
    """(T, 23, 2) pixels where the meshes show the keypoints."""
    body, vertices = embedded_body(), np.array(take.vertices(person))
    points = J.lift_points(vertices, body.regress("smpl24", vertices), body)
    root = body.regress("h36m17", vertices)[:, :1]
    return project(J.detector_points(points, 1.0) + root + take.translation(person)[:, None], take.intrinsics)


def arrays(take: Take, person: int) -> list[np.ndarray]:
    return [np.array(take.vertices(person)), take.translation(person), take.joints(person), take.shape(person)]


def moved(take: Take, shift=(18.0, -12.0), rows=ROW, joint: int = WRIST, person: int = 0) -> Edits:
    keypoints = take.keypoints(person)
    rows = np.atleast_1d(rows)
    values = keypoints[rows, joint] + [*shift, 0]
    values[:, 2] = 1
    return take.edits(person).changed(rows, np.full(len(rows), joint), values, keypoints)


def test_the_wrist_follows_and_only_near_frames_change(take):
    before, seen, other = arrays(take, 0), shown(take), arrays(take, 4)
    told: dict[int, list[int]] = {0: [], 4: []}
    world = take.world_from_camera
    resolve(take, {0: moved(take)}, NETWORK, finished=lambda person, rows: told[person].extend(rows.tolist()))
    after = arrays(take, 0)
    differ = [np.flatnonzero((a.view(np.int32) != b.view(np.int32)).reshape(COUNT, -1).any(1))
              for a, b in zip(before[:3], after[:3])]
    assert ROW in differ[0] and np.abs(differ[0] - ROW).max() <= 12 and np.abs(differ[1] - ROW).max() <= 20
    assert sorted(set(told[0])) == sorted(set(np.concatenate(differ).tolist()))
    assert np.array_equal(before[3], after[3]) and np.array_equal(world, take.world_from_camera)
    assert not told[4] and all(np.array_equal(a, b) for a, b in zip(other, arrays(take, 4)))
    assert take.solved.all() and take.keypoints(0)[ROW, WRIST, 2] == 1
    follows = shown(take)[ROW] - seen[ROW]
    assert np.linalg.norm(follows[WRIST] - [18, -12]) < 6
    assert np.linalg.norm(np.delete(follows, [WRIST, BODY23.index("left_elbow")], 0), axis=1).max() < 4


def test_a_correction_over_some_frames_is_followed_within_a_few_pixels(take):
    seen = shown(take)
    rows = np.arange(ROW - 8, ROW + 9)
    resolve(take, {0: moved(take, rows=rows)}, NETWORK)
    follows = shown(take)[ROW] - seen[ROW]
    assert np.linalg.norm(follows[WRIST] - [18, -12]) < 5


@pytest.mark.parametrize("keypoint", ["left_wrist", "right_ankle", "left_shoulder", "left_big_toe"])
def test_a_marker_far_outside_the_picture_stretches_nothing(take, keypoint):
    """Its bone points at it; the rest of the person stays."""
    joint = BODY23.index(keypoint)
    bones = np.arange(1, 24), np.array(SMPL24_PARENTS[1:])
    before, at = take.joints(0)[ROW], take.keypoints(0)[ROW, joint].copy()
    place = take.translation(0)[ROW].copy()
    edits = take.edits(0).changed([ROW], [joint], np.array([[at[0] + 6000, at[1] - 4000, 1.0]]), take.keypoints(0))
    resolve(take, {0: edits}, NETWORK)
    after = take.joints(0)[ROW]
    longer = np.linalg.norm(after[bones[0]] - after[bones[1]], axis=1) / \
        np.linalg.norm(before[bones[0]] - before[bones[1]], axis=1)
    assert 0.9 < longer.min() and longer.max() < 1.1
    assert np.linalg.norm(take.translation(0)[ROW] - place) < 0.1
    other_foot = SMPL24.index("left_ankle" if "right" in keypoint else "right_ankle")
    assert np.linalg.norm((after + take.translation(0)[ROW] - before - place)[other_foot]) < 0.1
    assert take.keypoints(0)[ROW, joint, 0] == pytest.approx(at[0] + 6000), "the marker stays where it was put"
    if keypoint == "left_wrist":
        arm = (after[SMPL24.index("left_wrist")] - after[SMPL24.index("left_elbow")])[:2]
        wanted = np.array([6000.0, -4000.0])
        assert arm @ wanted / np.linalg.norm(arm) / np.linalg.norm(wanted) > 0.9


def test_it_comes_out_as_if_the_whole_take_were_solved_with_it(take, tmp_path):
    shutil.copytree(take.folder, tmp_path / "whole")
    edits = moved(take, rows=np.arange(ROW - 3, ROW + 4))
    resolve(take, {0: edits}, NETWORK)
    with Take.open(tmp_path / "whole", write=True) as whole:
        whole.set_edits(0, edits)
        whole.set_keypoints(0, edits.applied(whole.keypoints(0)))
        solve_take(whole, NETWORK, Settings())
        above = embedded_body().weights[:, [1, 2, 4, 5, 7, 8, 10, 11]].sum(1) < .1  # feet: the whole finds anew where
        assert np.abs(take.vertices(0) - whole.vertices(0))[:, above].max() < 8e-3  # they stand, a part does not
        assert np.abs(take.translation(0) - whole.translation(0)).max() < 3e-2
        assert whole.info["solve"]["key"] == take.info["solve"]["key"]
    before = np.array(take.vertices(0))
    solve_take(take, NETWORK, Settings())  # knows that there is nothing to do
    assert np.array_equal(before, take.vertices(0))


def test_taking_a_correction_back_restores_keypoints_and_mesh(take):
    before, keypoints = arrays(take, 0), take.keypoints(0)
    memory = Memory()
    resolve(take, {0: moved(take)}, NETWORK, memory=memory)
    assert len(take.edits(0)) == 1
    back = take.edits(0).changed([ROW], [WRIST], keypoints[ROW, WRIST], take.keypoints(0))
    assert not len(back)
    resolve(take, {0: back}, NETWORK, memory=memory)
    np.testing.assert_array_equal(take.keypoints(0), keypoints)
    assert not (take.folder / "edits_0.npy").exists()
    for a, b in zip(before, arrays(take, 0)):
        np.testing.assert_allclose(a, b, atol=2.5e-2)  # the knee of a nearly straight leg makes much of a millimetre


def test_what_was_cancelled_is_done_by_the_next_call(take, tmp_path):
    shutil.copytree(take.folder, tmp_path / "whole")
    edits, memory, first = moved(take), Memory(), []
    with pytest.raises(Cancelled):
        resolve(take, {0: edits}, NETWORK, focus=ROW, cancelled=lambda: True, memory=memory,
                finished=lambda person, rows: first.append(rows.tolist()))
    assert [ROW] in first and not take.solved.all()
    resolve(take, {}, NETWORK, memory=memory)
    assert take.solved.all()
    with Take.open(tmp_path / "whole", write=True) as whole:
        resolve(whole, {0: edits}, NETWORK)
        for a, b in zip(arrays(take, 0), arrays(whole, 0)):
            # The knee of a nearly straight leg makes much of a millimetre.
            np.testing.assert_allclose(a, b, atol=2.5e-2)


def test_a_process_that_dies_leaves_what_the_next_one_solves(take):
    with pytest.raises(Cancelled):
        resolve(take, {0: moved(take)}, NETWORK, focus=ROW, cancelled=lambda: True)
    assert not take.solved.all()
    resolve(take, {}, NETWORK)  # without the memory of the one before
    assert take.solved.all() and np.isfinite(take.vertices(0)).all()


def test_a_person_who_is_taken_away_and_put_back(take):
    keypoints, before = take.keypoints(0), arrays(take, 0)
    rows, joints = (a.ravel() for a in np.meshgrid(np.arange(40, COUNT), np.arange(23), indexing="ij"))
    gone = Edits().changed(rows, joints, np.tile(ABSENT, (len(rows), 1)), keypoints)
    resolve(take, {0: gone}, NETWORK)
    assert np.isnan(take.translation(0)[40:]).all() and np.isnan(take.vertices(0)[45]).all() and take.solved.all()
    assert np.isfinite(take.translation(4)).all()
    resolve(take, {0: Edits()}, NETWORK)
    assert take.solved.all()
    np.testing.assert_array_equal(take.keypoints(0), keypoints)
    for a, b in zip(before, arrays(take, 0)):
        np.testing.assert_allclose(a, b, atol=3e-2)


def test_an_unsolved_take_says_so(take):
    take.clear_solved()
    with pytest.raises(TakeError, match="Animate it first"):
        resolve(take, {0: moved(take)}, NETWORK)


def test_edits_round_trip_and_damage_is_named(tmp_path):
    keypoints = np.random.default_rng(0).uniform(1, 900, (5, 23, 3)).astype(np.float32)
    edits = Edits().changed([3, 1], [4, 22], [[1, 2, 1], ABSENT], keypoints)
    again = edits.changed([3], [4], [[5, 6, 1]], edits.applied(keypoints), by_hand=False)
    write_edits(tmp_path, 7, again)
    read = read_edits(tmp_path, 7, 5)
    for name in ("rows", "joints", "values", "before", "by_hand"):
        np.testing.assert_array_equal(getattr(read, name), getattr(again, name))
    assert read.rows.tolist() == [1, 3] and read.by_hand.tolist() == [True, False]
    np.testing.assert_array_equal(read.detected(read.applied(keypoints)), keypoints)
    assert len(read_edits(tmp_path, 8, 5)) == 0
    with pytest.raises(TakeError, match=r"edits_7\.npy is damaged"):
        read_edits(tmp_path, 7, 3)  # a row that the take does not have
    (tmp_path / "edits_7.npy").write_bytes(b"PK not an array")
    with pytest.raises(TakeError, match=r"edits_7\.npy"):
        read_edits(tmp_path, 7, 5)


def test_choosing_people_again_keeps_corrections(demo_take):
    from pose2mesh_blender.core.people import choose_people

    with Take.open(demo_take, write=True) as take:
        person = take.people[0]
        detected = take.keypoints(person)
        edits = moved(take, rows=2, person=person)
        take.set_edits(person, edits)
        take.set_keypoints(person, edits.applied(detected))
        choose_people(take, 1)
        choose_people(take, 2)
        assert take.keypoints(person)[2, WRIST].tolist() == edits.values[0].tolist()
        np.testing.assert_array_equal(take.edits(person).detected(take.keypoints(person)), detected)


def test_a_take_of_another_network_is_corrected_by_this_one_alone(take, tmp_path):
    """What the other one lifted, here 5 cm off, gets into no frame, and only near frames change."""
    shutil.copytree(take.folder, tmp_path / "other")
    before = arrays(take, 0)
    resolve(take, {0: moved(take)}, NETWORK)
    with Take.open(tmp_path / "other", write=True) as other:
        stages = other.stages(0)
        other.write_stages(0, stages._replace(lifted=stages.lifted + .05, pulled=stages.pulled + .05))
        other.info["lifted_by"]["0"] = {"lifter": "of last year"}
        resolve(other, {0: moved(other)}, NETWORK)
        for one, two in zip(arrays(take, 0), arrays(other, 0)):
            np.testing.assert_allclose(one, two, atol=1e-5)
        np.testing.assert_array_equal(other.vertices(0)[[0, COUNT - 1]], before[0][[0, COUNT - 1]])
        assert other.info["lifted_by"]["0"] == NETWORK.hashes


def test_a_glimpse_that_the_whole_take_does_not_bear_out_goes(take, monkeypatch):
    """Few neighbours may say that a frame moves where the whole take says that it does not: its mesh is as before."""
    far, before = COUNT - 1, arrays(take, 0)
    monkeypatch.setattr(_Context, "glimpse", lambda self, person, old, new, focus, places: (
        np.array([far]), before[0][[far]] + 0.01, before[1][[far]], before[2][[far]]))
    resolve(take, {0: moved(take, shift=(2.0, 0.0), rows=0)}, NETWORK, focus=far)
    np.testing.assert_allclose(take.vertices(0)[far], before[0][far], atol=1e-3)


@pytest.fixture(scope="module")
def demo_take(tmp_path_factory, demo_clip) -> Path:
    from pose2mesh_blender.core.pipeline import run

    folder = tmp_path_factory.mktemp("demo") / "take"
    run(demo_clip, folder, Settings(preset="fast", end=4)).close()
    return folder


def test_a_person_is_detected_again_where_the_keypoints_are(demo_take, demo_clip, tmp_path):
    from pose2mesh_blender.core.detection import PoseEstimator
    from pose2mesh_blender.core.footage import open_footage
    from pose2mesh_blender.core.redetect import redetect

    shutil.copytree(demo_take, tmp_path / "take")
    with Take.open(tmp_path / "take", write=True) as take:
        person = take.people[0]
        first = take.keypoints(person)
        lost = Edits().changed(np.full(23, 2), np.arange(23), np.tile(ABSENT, (23, 1)), first, by_hand=False)
        hand = lost.changed([2], [WRIST], [[5, 6, 1]], lost.applied(first))
        take.set_edits(person, hand)
        take.set_keypoints(person, hand.applied(first))
        found = redetect(open_footage(demo_clip), take, person, 1, 3, PoseEstimator("fast"))
        now = found.applied(take.keypoints(person))
        assert now[2, WRIST].tolist() == [5, 6, 1]
        body = np.delete(np.arange(17), WRIST)
        assert np.abs(now[2, body, :2] - first[2, body, :2]).max() < 25
        np.testing.assert_array_equal(now[[0, 4]], first[[0, 4]])
        assert redetect(open_footage(demo_clip), take, person, 2, 2, PoseEstimator("fast"),
                        keep_edited=False).applied(first)[2, WRIST, 0] > 50


def test_footage_that_moved_is_found_whatever_it_is(solved, tmp_path):
    """A video or a still is the file itself, a sequence the folder of the picture; a keypoint file has no pictures."""
    from pose2mesh_blender.core.footage import open_footage
    from pose2mesh_blender.core.redetect import footage_of

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in (1, 2):
        write_image(pictures / f"shot{number}.png", np.full((8, 8, 3), 100 * number, np.uint8))
    with Take.open(solved) as take:
        for footage in (open_footage(pictures), open_footage(pictures / "shot2.png")):
            take.info["footage"] = {"path": "/gone", "identity": footage.identity(), "kind": footage.kind}
            assert footage_of(take, str(pictures / "shot2.png")).path == footage.path
        with pytest.raises(TakeError, match="is other footage"):
            footage_of(take, str(pictures / "shot1.png"))
        take.info["footage"]["kind"] = "keypoints"
        with pytest.raises(TakeError, match="holds keypoints, not pictures"):
            footage_of(take, str(pictures / "shot1.png"))
