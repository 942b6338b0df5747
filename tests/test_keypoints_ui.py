"""Correcting joints as a user does it: markers are edited, the mesh follows where it should and nowhere else."""
from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

import pose2mesh_blender
from pose2mesh_blender.core.edits import absent_in
from pose2mesh_blender.core.pipeline import Settings
from pose2mesh_blender.core.pipeline import run as animate
from pose2mesh_blender.core.skeletons import BODY23
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import corrected, refresh, takes, tracks
from pose2mesh_blender.ui import jobs, keypoints, live, overlay
from pose2mesh_blender.ui.skeletons import LEFT as LEFT_SIDE
from pose2mesh_blender.ui.skeletons import skeleton

COUNT, ROW = 70, 35
WRIST, OTHER = BODY23.index("left_wrist"), BODY23.index("right_wrist")


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture(scope="module")
def solved(tmp_path_factory, demo_clip) -> Path:
    folder = tmp_path_factory.mktemp("solved") / "take"
    animate(demo_clip, folder, Settings(preset="fast", people=1, end=COUNT - 1)).close()
    return folder


@pytest.fixture
def folder(solved, tmp_path) -> str:
    """A solved take of the demo clip, in the scene."""
    shutil.copytree(solved, tmp_path / "take")
    with Take.open(tmp_path / "take") as take:
        takes.build_take(take)
    keypoints.forget()
    return str(tmp_path / "take")


def tracked_of(folder: str) -> tracks.Tracked:
    return next(tracks.tracked_anywhere(folder))


def marker(folder: str, joint: int = WRIST, row: int = ROW):
    return tracked_of(folder).object.tracks[tracks.NAMES[joint]].markers.find_frame(row + 1)


def person() -> bpy.types.Object:
    return takes.people_of(takes.takes_in(bpy.context.scene)[0])[0]


def shapes() -> np.ndarray:
    """(COUNT, 6890, 3) of all shape keys."""
    out = np.empty((COUNT, 6890, 3), np.float32)
    for block, values in zip(person().data.shape_keys.key_blocks[1:], out):
        block.points.foreach_get("co", values.reshape(-1))
    return out


def places() -> np.ndarray:
    return np.stack([takes.compat.key_frames(takes.compat.find_curve(person(), "location", axis))[:, 1]
                     for axis in range(3)], 1)


def drag(folder: str, dx: float = 0.05, dy: float = 0.02, **where) -> None:
    m = marker(folder, **where)
    m.co = (m.co[0] + dx, m.co[1] + dy)


def moved_nearby(before: np.ndarray) -> bool:
    """Whether the mesh moved where it was corrected, and elsewhere hardly or not at all; before: `shapes` then."""
    moved = np.linalg.norm(shapes() - before, axis=-1).max(1)
    far = np.abs(np.arange(COUNT) - ROW) > 8
    return moved[ROW] > 0.05 and moved[far].max() < 0.15 * moved[ROW] and (moved == 0).sum() > COUNT / 4


def as_in_the_take(folder: str) -> bool:
    """Whether the mesh in the scene is what the take holds."""
    with Take.open(folder) as take:
        rows = np.arange(COUNT)
        stored = np.stack(list(takes.posed(take, take.people[0], rows)))
        placed = takes.placed(take, take.people[0], rows)
    return np.abs(shapes() - stored).max() < 1e-5 and np.abs(places() - placed).max() < 1e-4


def test_re_solve_moves_the_mesh_where_it_should(folder):
    before, stood = shapes(), places()
    assert bpy.ops.pose2mesh.resolve() == {"CANCELLED"}, "nothing edited yet"
    drag(folder)
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    assert moved_nearby(before)
    assert np.abs(places()[0] - stood[0]).max() < 5e-3, "far from the correction people stay where they were"
    assert as_in_the_take(folder)
    with Take.open(folder) as take:
        assert take.solved.all() and take.edits(take.people[0]).mask(COUNT).sum() == 1
        assert not corrected.out_of_date(person(), take)
    assert marker(folder).is_keyed
    assert bpy.ops.pose2mesh.resolve() == {"CANCELLED"}


def test_edits_survive_save_and_reload_and_undo_is_followed(folder, tmp_path):
    drag(folder)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    after = shapes()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))  # as an undo of the solve: mesh old, take new
    assert np.abs(shapes() - after).max() > 0.01
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    assert np.abs(shapes() - after).max() < 1e-5 and as_in_the_take(folder)


def test_a_take_that_goes_on_brings_its_markers(tmp_path, demo_clip):
    """Animate, stop, correct, Animate again: what was not detected yet must not seem to be deleted by the user."""
    asked, settings = [], Settings(preset="fast", people=1, end=15)

    def stop() -> bool:
        return bool(asked)

    stop.take_keep, stop.at_once = lambda: bool(asked and not asked.clear()), lambda: False
    animate(demo_clip, tmp_path / "take", settings, cancelled=stop,
            progress=lambda stage, done, total: asked.append(1) if (stage, done) == ("detect", 6) else None).close()
    folder = str(tmp_path / "take")
    with Take.open(folder) as take:
        assert take.done.sum() == 6
        collection = takes.build_take(take)
    drag(folder, row=3)
    animate(demo_clip, folder, settings).close()
    with Take.open(folder) as take:
        refresh.refresh(collection, take)
    changed, = keypoints.edited_in(bpy.context.scene)[folder].values()
    assert (changed[1].rows.tolist(), changed[1].joints.tolist()) == ([3], [WRIST])
    assert not marker(folder, row=10).mute
    clip = takes.clip_of(collection)
    facts = json.loads(clip[tracks.TRACKED])
    for one in facts.values():
        one["rows"] = 6
    clip[tracks.TRACKED] = json.dumps(facts)
    for track in tracked_of(folder).object.tracks:  # as an undo of the second Animate leaves them
        for row in range(6, 16):
            track.markers.find_frame(row + 1).mute = True
    changed, = keypoints.edited_in(bpy.context.scene)[folder].values()
    assert changed[1].rows.tolist() == [3]


def test_a_correction_that_is_dragged_back_is_none(folder):
    before, was = shapes(), tuple(marker(folder).co)
    drag(folder)
    bpy.ops.pose2mesh.resolve()
    marker(folder).co = was
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    with Take.open(folder) as take:
        assert not len(take.edits(take.people[0]))
    assert np.abs(shapes() - before).max() < 5e-3


def turn_until(condition, seconds: float = 60) -> float:
    """Turns of the timer until `condition()`; returns the seconds that it took."""
    start = time.perf_counter()
    while not condition():
        assert time.perf_counter() - start < seconds, f"it took too long ({live.message})"
        time.sleep(live._live.step())
    return time.perf_counter() - start


def at_rest() -> bool:
    return not (live._live.client.busy or live._live.pending or live._live.moved or live._live.sent)


@pytest.fixture
def following(folder):
    bpy.context.scene.frame_set(ROW + 1)
    live.switch(True)
    turn_until(at_rest)
    yield folder
    live.switch(False)


def test_live_the_mesh_follows_a_dragged_marker(following):
    before = shapes()
    drag(following)
    turn_until(lambda: (shapes()[ROW] != before[ROW]).any())
    for _ in range(4):  # it moves on while neighbours are solved
        drag(following, dx=0.01)
        live._live.step()
        time.sleep(0.05)
    turn_until(at_rest)
    with Take.open(following) as take:
        assert take.solved.all()
        x = take.keypoints(take.people[0])[ROW, WRIST, 0] / take.image_size[0]
    assert x == pytest.approx(marker(following).co[0], abs=1e-5), "the last position counts"
    assert as_in_the_take(following)
    assert moved_nearby(before)
    assert marker(following).is_keyed


def test_live_ends_with_the_add_on_and_leaves_nothing(following):
    process = live._live.client._process
    assert bpy.app.timers.is_registered(live._tick)
    pose2mesh_blender.unregister()
    assert process.poll() is not None and not bpy.app.timers.is_registered(live._tick)
    assert not overlay._handlers and not hasattr(bpy.types.Scene, "pose2mesh_keypoints")
    pose2mesh_blender.register()
    assert len(overlay._handlers) == 2


def test_live_survives_what_is_deleted_under_it(following):
    drag(following)
    live._live.step()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    for _ in range(20):
        assert live._tick() is not None
        time.sleep(0.02)
    shutil.rmtree(following)
    assert live._tick() is not None


def test_live_lets_a_job_have_the_take(following):
    drag(following)
    live._live.step()
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    turn_until(at_rest)
    assert as_in_the_take(following)


def undoes(folder: str, operation, **options) -> None:
    bpy.ops.ed.undo_push(message="before")
    before = all_markers(folder)
    assert operation("EXEC_DEFAULT", True, **options) == {"FINISHED"}
    after = all_markers(folder)
    assert not np.array_equal(before, after, equal_nan=True)
    bpy.ops.ed.undo()
    np.testing.assert_array_equal(all_markers(folder), before)
    bpy.ops.ed.redo()
    np.testing.assert_array_equal(all_markers(folder), after)


def all_markers(folder: str) -> np.ndarray:
    with Take.open(folder) as take:
        now = tracks.read(tracked_of(folder), tracks.marker_frames(take, tracked_of(folder).clip))
    return np.concatenate([now.points, now.muted[..., None]], -1)


def test_a_correction_is_propagated_and_fades(folder):
    bpy.context.scene.frame_set(ROW + 1)
    assert bpy.ops.pose2mesh.propagate("EXEC_DEFAULT") == {"CANCELLED"}, "nothing is corrected yet"
    before = all_markers(folder)[:, WRIST, 0]
    drag(folder, dx=0.08, dy=0)
    drag(folder, dx=0.01, dy=0, row=ROW + 4)  # corrected already: the end
    undoes(folder, bpy.ops.pose2mesh.propagate, before=3, after=8, falloff="LINEAR")
    shift = all_markers(folder)[:, WRIST, 0] - before
    np.testing.assert_allclose(shift[ROW - 4:ROW + 1], [0, .02, .04, .06, .08], atol=1e-6)
    np.testing.assert_allclose(shift[ROW + 1:ROW + 6], [.08 * 8 / 9, .08 * 7 / 9, .08 * 6 / 9, .01, 0], atol=1e-6)


def test_occluded_markers_are_interpolated(folder):
    points = all_markers(folder)[:, WRIST]
    for row in range(ROW, ROW + 3):
        marker(folder, row=row).mute = True
        marker(folder, row=row).co = (0.9, 0.9)
    bpy.context.scene.pose2mesh_keypoints.extent = "RANGE"
    bpy.context.scene.pose2mesh_keypoints.first, bpy.context.scene.pose2mesh_keypoints.last = 1, COUNT
    tracked_of(folder).object.tracks["Left Wrist"].select = True
    undoes(folder, bpy.ops.pose2mesh.interpolate_occluded)
    found = all_markers(folder)[ROW:ROW + 3, WRIST]
    assert not found[:, 2].any() and np.abs(found[:, :2] - points[ROW:ROW + 3, :2]).max() < 0.05
    assert bpy.ops.pose2mesh.interpolate_occluded("EXEC_DEFAULT") == {"CANCELLED"}, "no gap is left"


def test_left_and_right_are_swapped_for_a_range_and_keep_their_confidence(folder):
    with Take.open(folder) as take:
        before = take.keypoints(take.people[0])
    bpy.context.scene.pose2mesh_keypoints.extent = "RANGE"
    bpy.context.scene.pose2mesh_keypoints.first, bpy.context.scene.pose2mesh_keypoints.last = 5, 7
    undoes(folder, bpy.ops.pose2mesh.swap_sides)
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    with Take.open(folder) as take:
        after = take.keypoints(take.people[0])
        np.testing.assert_array_equal(after[4:7, 5:17], before[4:7][:, tracks.PARTNER[5:17]])
        np.testing.assert_array_equal(after[[3, 7]], before[[3, 7]])
    bpy.context.scene.pose2mesh_keypoints.extent = "PREVIEW"
    bpy.context.scene.frame_end = 200
    undoes(folder, bpy.ops.pose2mesh.discard_corrections)
    bpy.ops.pose2mesh.resolve()
    with Take.open(folder) as take:
        np.testing.assert_array_equal(take.keypoints(take.people[0])[..., :2], before[..., :2])


def test_a_lost_person_is_detected_again_and_corrections_stay(solved, tmp_path):
    shutil.copytree(solved, tmp_path / "take")
    with Take.open(tmp_path / "take", write=True) as take:
        before = take.keypoints(take.people[0])
        take.set_keypoints(take.people[0], np.full((1, 23, 3), np.nan), np.array([ROW]), stale=np.zeros(0, int))
        takes.build_take(take)
    keypoints.forget()
    folder = str(tmp_path / "take")
    assert marker(folder, OTHER).mute
    marker(folder).mute = False
    drag(folder, dx=0.1)
    at = marker(folder).co[0] * 540
    bpy.context.scene.frame_set(ROW + 1)
    assert bpy.ops.pose2mesh.redetect() == {"FINISHED"}
    with Take.open(folder) as take:
        after, edits = take.keypoints(take.people[0]), take.edits(take.people[0])
        assert after[ROW, WRIST, 0] == pytest.approx(at, abs=0.01)
        seen = ~absent_in(before[ROW]) & (np.arange(23) != WRIST) & (np.arange(23) < 17)
        assert np.abs(after[ROW, seen, :2] - before[ROW, seen, :2]).mean() < 12
        assert edits.mask(COUNT).sum() == 1 and take.solved.all()
    assert not marker(folder, OTHER).mute and as_in_the_take(folder)
    assert bpy.ops.pose2mesh.redetect(replace_edited=True) == {"FINISHED"}
    with Take.open(folder) as take:
        assert not take.edits(take.people[0]).mask(COUNT).any()


def test_all_frames_are_solved_again_and_the_world_stays(folder):
    drag(folder)
    with Take.open(folder) as take:
        world = take.world_from_camera
    assert bpy.ops.pose2mesh.resolve(everything=True) == {"FINISHED"}
    with Take.open(folder) as take:
        assert np.array_equal(world, take.world_from_camera) and take.solved.all()
    assert as_in_the_take(folder)


def test_a_take_that_is_gone_or_in_use_is_told(folder):
    drag(folder)
    with Take.open(folder, write=True), pytest.raises(RuntimeError, match="being written by another process"):
        bpy.ops.pose2mesh.resolve()
    shutil.rmtree(folder)
    with pytest.raises(RuntimeError, match="take"):
        bpy.ops.pose2mesh.resolve(everything=True)
    with pytest.raises(RuntimeError, match="take"):
        bpy.ops.pose2mesh.propagate("EXEC_DEFAULT")
    assert jobs.current is None


SECOND = """
import sys, bpy
blend, folder, root = sys.argv[1:]
sys.path.insert(0, root)
import pose2mesh_blender
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import tracks
pose2mesh_blender.register()
bpy.ops.wm.open_mainfile(filepath=blend)
marker = next(tracks.tracked_anywhere(folder)).object.tracks["Right Wrist"].markers.find_frame(11)
marker.co = (marker.co[0] + 0.05, marker.co[1])
print("second", bpy.ops.pose2mesh.resolve(), flush=True)
with Take.open(folder, write=True):  # as while it solves
    print("second holds it", flush=True)
    input()
"""


def test_two_blenders_on_one_take(folder, tmp_path):
    """The second is told who writes; corrections of both are kept, and a killed one leaves nothing locked."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert not keypoints.edited_in(bpy.context.scene)
    root = Path(pose2mesh_blender.__file__).parents[1]
    other = subprocess.Popen([sys.executable, "-c", SECOND, str(tmp_path / "shot.blend"), folder, str(root)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said = []
        while not said or said[-1] not in ("second holds it", ""):
            said.append(other.stdout.readline().strip())
        assert "second {'FINISHED'}" in said, said
        before = shapes()
        drag(folder)
        at, marker(folder, row=ROW + 1).mute = tuple(marker(folder).co), True
        with pytest.raises(RuntimeError, match=rf"written by another process \(number {other.pid}\)"):
            bpy.ops.pose2mesh.resolve()
        assert tuple(marker(folder).co) == at, "the correction waits"
        bpy.context.scene.frame_set(ROW + 1)
        live.switch(True)
        turn_until(lambda: f"number {other.pid}" in live.message)
        assert np.array_equal(shapes()[ROW], before[ROW])
        other.kill()  # its lock is stale now
        other.wait()
        turn_until(lambda: (shapes()[ROW] != before[ROW]).any() and at_rest())
    finally:
        live.switch(False)
        other.kill()
        other.communicate()
    with Take.open(folder) as take:
        mask = take.edits(take.people[0]).mask(COUNT)
        assert np.argwhere(mask).tolist() == [[10, OTHER], [ROW, WRIST], [ROW + 1, WRIST]], "of both"
        assert take.solved.all()
    assert marker(folder).is_keyed and marker(folder, OTHER, 10).is_keyed
    assert as_in_the_take(folder)


def other_footage(path: Path) -> Path:
    image = bpy.data.images.new("other", 32, 32)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    return path


def test_footage_that_moved_is_relinked_and_detected_again(solved, tmp_path, demo_clip):
    shutil.copytree(solved, tmp_path / "take")
    clip_file = Path(shutil.copy(demo_clip, tmp_path / "shot.mp4"))
    with Take.open(tmp_path / "take", write=True) as take:
        take.info["footage"]["path"] = str(clip_file)
        take.save()
        collection = takes.build_take(take)
    keypoints.forget()
    folder = str(tmp_path / "take")
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(clip_file, tmp_path / "elsewhere" / "renamed.mp4"))
    drag(folder)
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}, "solving needs no footage"
    assert as_in_the_take(folder)
    bpy.context.scene.frame_set(ROW + 1)
    with pytest.raises(RuntimeError, match=r"shot\.mp4"):
        bpy.ops.pose2mesh.redetect()
    clip = takes.clip_of(collection)
    clip.filepath = str(other_footage(tmp_path / "other.png"))
    with pytest.raises(RuntimeError, match="is other footage"):
        bpy.ops.pose2mesh.redetect()
    clip.filepath = str(moved)
    assert bpy.ops.pose2mesh.redetect(replace_edited=True) == {"FINISHED"}
    with Take.open(folder) as take:
        assert not take.edits(take.people[0]).mask(COUNT).any()
    assert as_in_the_take(folder)


def test_without_a_take_the_tools_say_what_to_do():
    for name in ("edit_keypoints", "live_resolve", "resolve", "propagate", "interpolate_occluded", "swap_sides",
                 "redetect", "discard_corrections"):
        with pytest.raises(RuntimeError, match="Animate footage first"):
            getattr(bpy.ops.pose2mesh, name)()


def test_skeletons_tell_left_from_right_without_colour():
    points = np.stack([np.linspace(10, 400, 23), np.linspace(10, 300, 23)], 1)
    drawn = skeleton(points, np.full(23, 0.9), np.zeros(23, bool), (1, 0, 0), 1.0)
    long = np.linalg.norm(drawn.lines[:, 1] - drawn.lines[:, 0], axis=1)
    assert (long <= 7.01).sum() > 20 and (long > 30).sum() >= 8, "left dashed, right whole"
    unsure = skeleton(points, np.where(LEFT_SIDE, 0.1, 0.9), np.zeros(23, bool), (1, 0, 0), 1.0)
    assert unsure.line_colours[:, 3].min() < 0.5 and len(unsure.triangles) < len(drawn.triangles)
    points[3] = np.nan
    assert np.isfinite(skeleton(points, np.zeros(23), np.ones(23, bool), (1, 1, 1), 2.0).lines).all()
