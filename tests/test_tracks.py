"""Keypoints as markers on a clip: what is written, what somebody's edit means, and what of theirs is left alone."""
from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from walking_take import make_take

from pose2mesh_blender.core.edits import absent_in
from pose2mesh_blender.core.skeletons import BODY23
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import corrected, takes, tracks

LEFT, RIGHT = BODY23.index("left_wrist"), BODY23.index("right_wrist")
SIZE = np.array([640, 480])


def take_with_keypoints(folder: Path, clip: Path, count: int = 12, people: int = 1, **kw) -> Take:
    """A finished take, open for writing. The nose is hardly seen in row 3, the left ear never."""
    make_take(folder, count, people, footage=clip, **{"fps": 60.0, **kw}).close()  # as the clip
    take = Take.open(folder, write=True)
    for person in take.people:
        rng = np.random.default_rng(person)
        keypoints = np.empty((count, 23, 3), np.float32)
        keypoints[..., :2] = rng.uniform(100, 300, (23, 2)) + np.arange(count)[:, None, None] * [2.0, 1.0]
        keypoints[..., 2] = 0.8
        keypoints[3, 0, 2] = 0.1
        keypoints[:, 3] = keypoints[5:8, 4] = (np.nan, np.nan, 0)
        take.set_keypoints(person, keypoints, stale=np.zeros(0, int))
    take.info["solve"] = {"key": "first"}
    take.save()
    return take


@pytest.fixture
def take(tmp_path, demo_clip):
    with take_with_keypoints(tmp_path / "take", demo_clip) as take:
        yield take


def tracked_of(take: Take, person: int = 0) -> tracks.Tracked:
    return next(tracks.tracked_anywhere(str(take.folder), person))


def marker(tracked: tracks.Tracked, joint: int, frame: int):
    return tracked.object.tracks[tracks.NAMES[joint]].markers.find_frame(frame)


def edits_of(tracked: tracks.Tracked, take: Take) -> list[tuple]:
    found = tracks.changes(tracked, tracks.base_of(tracked, take))
    return [(int(r), int(j), *np.round(v, 2).tolist()) for r, j, v in zip(found.rows, found.joints, found.values)]


def test_a_person_is_a_tracking_object_with_a_track_per_keypoint(take):
    collection = takes.build_take(take)
    clip = takes.clip_of(collection)
    tracked, = tracks.tracked_in(clip)
    assert tracked.name == "Person 1"
    assert [t.name for t in tracked.object.tracks][:6] == ["Nose", "Left Eye", "Right Eye", "Left Ear", "Right Ear",
                                                          "Left Shoulder"]
    keypoints = take.keypoints(0)
    assert np.array(marker(tracked, LEFT, 5).co) * SIZE == pytest.approx(
        [keypoints[4, LEFT, 0], 480 - keypoints[4, LEFT, 1]], abs=1e-3)
    assert not marker(tracked, LEFT, 5).mute and not marker(tracked, LEFT, 5).is_keyed
    assert marker(tracked, 0, 4).mute, "hardly seen"
    assert marker(tracked, 4, 6).mute and np.array(marker(tracked, 4, 7).co) * SIZE == pytest.approx(
        np.array([1, -1]) * keypoints[[4, 8], 4, :2].mean(0) + [0, 480], abs=1e-2), "absent: between its neighbours"
    assert tracked.object.tracks["Left Ear"].hide
    assert marker(tracked, LEFT, 5).search_max[0] > 0, "Blender's tracker has an area to look at"
    assert not edits_of(tracked, take)
    assert clip.tracking.active_object_index == 0 and len(clip.tracking.objects["Camera"].tracks) == 0


def test_what_edits_mean(take):
    tracked = tracked_of(take) if takes.build_take(take) else None
    keypoints = take.keypoints(0)
    marker(tracked, LEFT, 2).co = (0.5, 0.25)
    marker(tracked, RIGHT, 3).mute = True
    tracked.object.tracks["Left Knee"].markers.delete_frame(4)
    marker(tracked, 0, 4).mute = False  # hardly seen, but right
    marker(tracked, 4, 6).mute = False  # absent; now believed where it lies
    knee = BODY23.index("left_knee")
    between = .75 * keypoints[4, 4, :2] + .25 * keypoints[8, 4, :2]
    expected = [(1, LEFT, 320, 360, 1), (2, RIGHT, np.nan, np.nan, 0), (3, 0, *keypoints[3, 0, :2], 1),
                (3, knee, np.nan, np.nan, 0), (5, 4, *between, 1)]
    np.testing.assert_allclose(edits_of(tracked, take), expected, atol=.02)


def commit(tracked: tracks.Tracked, take: Take) -> None:
    found = tracks.changes(tracked, tracks.base_of(tracked, take))
    keypoints = take.keypoints(tracked.person)
    detected = take.edits(tracked.person).detected(keypoints)
    edits = take.edits(tracked.person).changed(found.rows, found.joints, found.values, keypoints)
    take.set_edits(tracked.person, edits)
    take.set_keypoints(tracked.person, edits.applied(detected), stale=np.zeros(0, int))
    take.info["solve"]["key"] += "+"
    take.save()
    for other in tracks.tracked_anywhere(str(take.folder), tracked.person):
        tracks.show_rows(other, take, found.rows, points=other != tracked)


def test_committed_edits_are_keyed_and_can_be_taken_back(take):
    tracked = tracked_of(take) if takes.build_take(take) else None
    keypoints, was = take.keypoints(0), tuple(marker(tracked, LEFT, 2).co)
    marker(tracked, LEFT, 2).co = (0.5, 0.25)
    marker(tracked, 0, 4).co = (0.5, 0.5)  # moved while muted
    marker(tracked, RIGHT, 3).mute = True
    commit(tracked, take)
    assert not edits_of(tracked_of(take), take)
    assert marker(tracked, LEFT, 2).is_keyed and not marker(tracked, LEFT, 3).is_keyed
    assert not marker(tracked, 0, 4).mute and take.edits(0).mask(12).sum() == 3
    assert absent_in(take.keypoints(0))[2, RIGHT]
    marker(tracked, LEFT, 2).co = was
    marker(tracked, RIGHT, 3).mute = False
    marker(tracked, 0, 4).co = (keypoints[3, 0, 0] / 640, 1 - keypoints[3, 0, 1] / 480)
    marker(tracked, 0, 4).mute = True
    commit(tracked_of(take), take)
    np.testing.assert_array_equal(take.keypoints(0)[[1, 2], [LEFT, RIGHT]], keypoints[[1, 2], [LEFT, RIGHT]])
    assert not marker(tracked, LEFT, 2).is_keyed


def test_swapped_markers_carry_their_confidence(take):
    tracked = tracked_of(take) if takes.build_take(take) else None
    keypoints = take.keypoints(0)
    a, b = marker(tracked, LEFT, 6), marker(tracked, RIGHT, 6)
    a.co, b.co = tuple(b.co), tuple(a.co)
    found = edits_of(tracked, take)
    assert [f[:2] for f in found] == [(5, LEFT), (5, RIGHT)]
    assert found[0][2:] == tuple(np.round(keypoints[5, RIGHT], 2).tolist())
    assert found[1][4] == pytest.approx(0.8)


def test_the_users_tracks_and_settings_are_left_alone(tmp_path, demo_clip):
    clip = bpy.data.movieclips.load(str(demo_clip))
    own = clip.tracking.objects["Camera"].tracks.new(name="Left Wrist", frame=3)
    prop = clip.tracking.objects.new("Person 1")
    prop.tracks.new(name="box", frame=2)
    clip.tracking.active_object_index = 1
    with take_with_keypoints(tmp_path / "a", demo_clip) as one, take_with_keypoints(tmp_path / "b", demo_clip) as two:
        first = takes.clip_of(takes.build_take(one))
        assert takes.clip_of(takes.build_take(two)) == first == clip, "two takes of one clip share it"
        assert [o.name for o in clip.tracking.objects] == ["Camera", "Person 1", "Person 1.001", "Person 1.002"]
        assert clip.tracking.active_object_index == 1
        assert len(own.markers) == 1 and [t.name for t in prop.tracks] == ["box"]
        marker(tracked_of(one), LEFT, 2).co = (0.5, 0.25)
        assert edits_of(tracked_of(one), one) and not edits_of(tracked_of(two), two)


def test_an_object_that_was_renamed_in_the_clip_editor_is_still_known(take):
    takes.build_take(take)
    tracked_of(take).object.name = "Anna"
    assert tracked_of(take).name == "Anna" and not edits_of(tracked_of(take), take)
    assert tracks.rename(tracked_of(take).clip, "Anna", "Berta") == "Berta"
    assert tracked_of(take).name == "Berta"
    tracked_of(take).clip[tracks.TRACKED] = '{"Berta": {"take": 3'
    assert not list(tracks.tracked_anywhere()), "damaged: nobody, and no exception"


def test_offset_step_and_uneven_rates_keep_markers_on_their_pictures(tmp_path, demo_clip):
    with take_with_keypoints(tmp_path / "take", demo_clip, first=4, step=3) as take:
        bpy.context.scene.frame_start = 20
        collection = takes.build_take(take)
        clip, tracked = takes.clip_of(collection), tracked_of(take)
        frames = [m.frame for m in tracked.object.tracks["Nose"].markers]
        assert frames == (take.frames + 1).tolist()
        curve = takes.compat.find_curve(takes.people_of(collection)[0], "location")
        assert takes.compat.key_frames(curve)[:, 0].tolist() == tracks.scene_frames(take, tracked).tolist()
        clip.frame_offset = 2
        assert not edits_of(tracked_of(take), take), "the markers did not move"
        tracks.write(clip, take, 0)
        assert [m.frame for m in tracked.object.tracks["Nose"].markers] == (take.frames - 1).tolist()
        assert not edits_of(tracked_of(take), take)
    times = np.array([0, .1, .2, .21, .22, .5, .6, .61, .8, .9, 1.3, 1.4])
    with take_with_keypoints(tmp_path / "uneven", demo_clip, timestamps=times) as take:
        takes.build_take(take)
        tracked = tracked_of(take)
        frames = tracks.marker_frames(take, tracked.clip)
        shown = np.unique(frames)
        assert len(shown) < 12 or (np.diff(frames) > 0).all()
        assert [m.frame for m in tracked.object.tracks["Nose"].markers] == shown.tolist()
        assert not edits_of(tracked, take)


def test_a_change_in_another_file_is_taken_over_but_an_undo_is_not(take, tmp_path):
    takes.build_take(take)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    marker(tracked_of(take), LEFT, 2).co = (0.5, 0.25)
    commit(tracked_of(take), take)
    state = tracked_of(take).state
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    tracked = tracked_of(take)
    assert tracked.state != state and not tracks.changed_elsewhere(tracked, take), "as after an undo in this session"
    tracks._seen.clear()  # as in another session
    assert tracks.changed_elsewhere(tracked, take)
    marker(tracked, RIGHT, 3).co = (0.1, 0.1)
    marker(tracked, RIGHT, 3).is_keyed = True
    tracks.catch_up(tracked, take)
    assert tuple(marker(tracked, LEFT, 2).co) == pytest.approx((0.5, 0.25))
    assert [e[:2] for e in edits_of(tracked_of(take), take)] == [(2, RIGHT)]


def test_a_thousand_frames_are_written_and_read_quickly(tmp_path, demo_clip):
    with take_with_keypoints(tmp_path / "take", demo_clip, count=4) as short:
        clip = takes.clip_of(takes.build_take(short))
    with Take.create(tmp_path / "long", frames=np.arange(1000), timestamps=np.arange(1000) / clip.fps, fps=clip.fps,
                     image_size=(640, 480), intrinsics=np.eye(3)) as take:
        take.set_people({0: "Long"})
        keypoints = np.random.default_rng(0).uniform(0, 1, (1000, 23, 3)).astype(np.float32) * [640, 480, 1]
        take.set_keypoints(0, keypoints)
        start = time.process_time()
        tracked = tracks.write(clip, take, 0)
        written = time.process_time() - start
        base = tracks.base_of(tracked, take)
        start = time.process_time()
        markers = tracks.read(tracked, base.frames)
        read = time.process_time() - start
        assert markers.here.all() and np.array_equal(markers.points, base.shown.points)
        assert written < 0.5 and read < 0.05, (written, read)  # 0.06 s and 2.5 ms on an idle machine


def test_solved_rows_reach_the_mesh_in_place(take):
    collection = takes.build_take(take)
    ob, = takes.people_of(collection)
    before = np.array([p.co for p in ob.data.shape_keys.key_blocks[5].points])
    curve = takes.compat.find_curve(ob, "location")
    curve.keyframe_points[0].interpolation = "BEZIER"  # the user's own
    vertices, place = np.array(take.vertices(0)[4]), take.translation(0)[4]
    take.write_mesh(0, np.array([4]), vertices[None] + np.float32(.1), place[None] + np.float32(.5),
                    take.joints(0)[[4]])
    assert corrected.show_rows(take, 0, np.array([4])) == 1
    blocks = ob.data.shape_keys.key_blocks
    rotation = take.world_from_camera[:3, :3]
    after = np.array([p.co for p in blocks[5].points])
    np.testing.assert_allclose(after - before, np.tile(rotation @ [.1, .1, .1], (6890, 1)), atol=1e-5)
    assert np.array_equal([p.co for p in blocks[6].points][:9], next(takes.posed(take, 0, [5]))[:9])
    world = [c.keyframe_points[4].co[1] for c in (takes.compat.find_curve(ob, "location", a) for a in range(3))]
    assert world == pytest.approx(rotation @ (place + .5) + take.world_from_camera[:3, 3], abs=1e-5)
    assert curve.keyframe_points[0].interpolation == "BEZIER"
    bpy.context.scene.frame_set(5)
    shown = ob.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices[7].co
    assert np.array(shown) == pytest.approx(after[7], abs=1e-5)


def test_a_person_who_comes_and_goes(take):
    collection = takes.build_take(take, relative=True)
    ob, = takes.people_of(collection)
    stored = take.translation(0)
    take.write_translation(0, np.array([0, 1]), np.full((2, 3), np.nan))
    corrected.show_rows(take, 0, np.array([0, 1]))
    assert len(ob.data.shape_keys.key_blocks) == 11 and ob.data.shape_keys.use_relative
    bpy.context.scene.frame_set(2)
    assert ob.evaluated_get(bpy.context.evaluated_depsgraph_get()).hide_viewport
    take.write_translation(0, np.arange(12), np.full((12, 3), np.nan))
    corrected.show_rows(take, 0, np.arange(12))
    assert ob.hide_viewport and takes.is_person(ob)
    take.write_translation(0, np.arange(12), stored)
    corrected.show_rows(take, 0, np.arange(12))
    assert not ob.hide_viewport and len(ob.data.shape_keys.key_blocks) == 13
