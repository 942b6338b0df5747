"""The queue, pausing, dropping, and which take footage gets: with the real worker."""
from __future__ import annotations

import shutil
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
from events import one_by_one
from modal import Modal, Window, begin, tick

import pose2mesh_blender
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import lens, takes
from pose2mesh_blender.ui import handlers, jobs, menus, preferences, queue


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Takes of a test lie in its own folder."""
    monkeypatch.setattr(jobs, "cache_folder", lambda context: tmp_path / "cache")
    monkeypatch.setattr(jobs, "_clear_status", lambda: None)
    queue.items(bpy.context.window_manager).clear()
    jobs.last_message = ("", "")
    return tmp_path / "cache"


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture
def every_event(monkeypatch):
    client = one_by_one(jobs.WorkerClient())
    monkeypatch.setattr(jobs, "_client", client)
    yield
    client.terminate()


def listed() -> dict[str, str]:
    return {Path(item.name).name: item.state for item in queue.items(bpy.context.window_manager)}


def drop(*paths: Path):
    return bpy.ops.pose2mesh.open_footage("INVOKE_DEFAULT", directory=str(paths[0].parent),
                                          files=[{"name": p.name} for p in paths], filepath=str(paths[0]))


def test_several_files_wait_and_a_bad_one_can_be_tried_again(tmp_path, demo_clip):
    good, bad = tmp_path / "a.mp4", tmp_path / "b.mp4"
    shutil.copy(demo_clip, good)
    bad.write_text("no video")
    assert drop(good, bad) == {"FINISHED"}
    assert listed() == {"a.mp4": "waiting", "b.mp4": "waiting"}
    assert bpy.context.scene.pose2mesh.footage == ""
    assert not bpy.ops.pose2mesh.queue_retry.poll()
    settings = bpy.context.scene.pose2mesh
    settings.preset, settings.end = "fast", 1
    assert bpy.ops.pose2mesh.animate() == {"FINISHED"}
    assert listed() == {"a.mp4": "done", "b.mp4": "failed"}
    item = queue.items(bpy.context.window_manager)[1]
    assert "b.mp4" in item.message
    shutil.copy(demo_clip, bad)
    assert bpy.ops.pose2mesh.queue_retry() == {"FINISHED"}
    assert listed() == {"a.mp4": "done", "b.mp4": "done"}
    assert len(takes.takes_in(bpy.context.scene)) == 2
    bpy.context.window_manager.pose2mesh_queue_index = 0
    assert bpy.ops.pose2mesh.queue_remove() == {"FINISHED"}
    assert listed() == {"b.mp4": "done"}
    assert bpy.ops.pose2mesh.queue_clear() == {"FINISHED"}
    assert not bpy.ops.pose2mesh.queue_remove.poll()


def test_dropped_pictures_of_one_folder_are_a_sequence(tmp_path, long_clip):
    pictures = sorted(long_clip.iterdir())[:3]
    assert drop(*pictures) == {"FINISHED"}
    assert Path(bpy.context.scene.pose2mesh.footage) == long_clip
    assert not listed()
    extensions = bpy.types.POSE2MESH_FH_footage.bl_file_extensions.split(";")
    assert {".mp4", ".mov", ".png", ".jpg"} <= set(extensions)
    assert len(bpy.types.POSE2MESH_FH_footage.bl_file_extensions) < 512, "Blender cuts it there"


def test_pause_and_go_on(long_clip, every_event):
    window, operator = begin(long_clip, end=11)
    tick(window, operator, lambda: jobs.current.stage == "detect" and jobs.current.done >= 2)
    assert bpy.ops.pose2mesh.pause() == {"FINISHED"}
    assert tick(window, operator, lambda: jobs.current.items[0].state == "paused") == {"PASS_THROUGH"}
    assert "Paused" in jobs.current.text
    done = jobs.current.done
    for _ in range(10):
        operator.modal(window.context, window.event("TIMER"))
        time.sleep(0.02)
    assert jobs.current.done == done, "it rests"
    assert bpy.ops.pose2mesh.pause() == {"FINISHED"}
    assert tick(window, operator, lambda: False) == {"FINISHED"}
    ob, = takes.people_of(takes.takes_in(bpy.context.scene)[0])
    assert len(ob.data.shape_keys.key_blocks) == 1 + 12


def test_stopping_while_paused(long_clip, every_event):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect" and jobs.current.done >= 2)
    bpy.ops.pose2mesh.pause()
    tick(window, operator, lambda: jobs.current.items[0].state == "paused")
    assert operator.modal(window.context, window.event("ESC")) == {"CANCELLED"}
    assert jobs.current is None
    assert not bpy.ops.pose2mesh.pause.poll()


def test_progress_says_how_long_it_takes(long_clip, monkeypatch):
    job = jobs.Job([long_clip], long_clip, {}, lambda folder: "")
    job.number, job.stage, job.total = 0, "detect", 100
    now = iter(range(0, 100, 2))
    monkeypatch.setattr(jobs.time, "monotonic", lambda: next(now))
    for done in (10, 20, 30):
        job.done = done
        job._keep_pace()
    assert job.remaining == pytest.approx((1 - job.fraction) / (0.078 / 2), rel=0.01)
    assert job.text.startswith("Finding people 30/100, 0:")
    job.paused = True
    assert job.remaining is None


class Status:
    """What the status bar's layout is asked for."""

    def __init__(self):
        self.shown = []

    @property
    def layout(self):
        return self

    def row(self):
        return self

    def progress(self, **options):
        self.shown.append(options)


def test_status_bar_shows_the_bar_only_while_at_work(long_clip):
    bar = Status()
    menus.draw_status(bar, bpy.context)
    assert not bar.shown
    window, operator = begin(long_clip)
    menus.draw_status(bar, bpy.context)
    assert bar.shown[0]["type"] == "BAR"
    operator.cancel(window.context)


def test_two_takes_of_one_clip_side_by_side(demo_clip, cache):
    scene = bpy.context.scene
    options = {"filepath": str(demo_clip), "preset": "fast", "people": 1, "end": 3}
    bpy.ops.pose2mesh.import_footage(**options, smooth=0.0)
    bpy.ops.pose2mesh.import_footage(**options, smooth=1.0)
    one, two = takes.takes_in(scene)
    assert one[takes.TAKE] != two[takes.TAKE]
    with Take.open(one[takes.TAKE]) as first, Take.open(two[takes.TAKE]) as second:
        assert (first.info["solve"]["smooth"], second.info["solve"]["smooth"]) == (0.0, 1.0)
    seen = [(Path(c[takes.TAKE]) / "tracks.bin").read_bytes() for c in (one, two)]
    assert seen[0] == seen[1], "detected once"
    assert [ob.pose2mesh.smooth for c in (one, two) for ob in takes.people_of(c)] == [0.0, 1.0]


def test_going_on_fills_the_same_take(long_clip, cache):
    window, operator = begin(long_clip, end=20)
    tick(window, operator, lambda: jobs.current.stage == "detect" and jobs.current.done >= 3)
    operator.modal(window.context, window.event("ESC"))
    if jobs.current:
        tick(window, operator, lambda: False)
    collection, = takes.takes_in(bpy.context.scene)
    ob, = takes.people_of(collection)
    ob["mine"], before = 1, len(ob.data.shape_keys.key_blocks)
    window, operator = begin(long_clip, end=20)
    assert tick(window, operator, lambda: False) == {"FINISHED"}
    assert takes.takes_in(bpy.context.scene) == [collection]
    assert takes.people_of(collection) == [ob]
    assert ob["mine"] == 1
    assert len(ob.data.shape_keys.key_blocks) == 1 + 21 > before


def test_lens_of_the_clip(demo_clip, tmp_path):
    path = Path(shutil.copy(demo_clip, tmp_path / "lens.mp4"))
    clip = bpy.data.movieclips.load(str(path))
    assert lens.focal_of(path) is None, "Blender's default is nobody's choice"
    clip.tracking.camera.focal_length_pixels = 777
    assert lens.focal_of(path) == pytest.approx(777, abs=0.1)
    assert lens.focal_of(demo_clip) is None
    bpy.ops.pose2mesh.import_footage(filepath=str(path), preset="fast", people=1, end=1)
    with Take.open(takes.takes_in(bpy.context.scene)[0][takes.TAKE]) as take:
        assert take.intrinsics[0, 0] == pytest.approx(777, abs=0.1)
    bpy.context.scene.pose2mesh.lens = "FOV"
    bpy.context.scene.pose2mesh.fov = 60
    bpy.ops.pose2mesh.import_footage(filepath=str(path), preset="fast", people=1, end=1)
    with Take.open(takes.takes_in(bpy.context.scene)[1][takes.TAKE]) as take:
        assert take.intrinsics[0, 0] == pytest.approx(max(take.image_size) / 2 / 0.57735, rel=1e-3)


def test_requests_have_the_device_and_threads_of_the_preferences(monkeypatch):
    from types import SimpleNamespace

    assert preferences.engine(bpy.context) == {"device": "auto", "threads": 0}
    monkeypatch.setattr(preferences, "_of", lambda context: SimpleNamespace(device="cpu", threads=2))
    from pose2mesh_blender.ui import keypoints

    assert keypoints.request_of("take", {}, preferences.engine(bpy.context))["settings"] == {
        "device": "cpu", "threads": 2}


def test_devices_are_tried_and_timed():
    assert bpy.ops.pose2mesh.test_devices() == {"FINISHED"}
    results = {r["device"]: r for r in preferences.tested}
    assert set(results) == {d[0] for d in preferences.DEVICES} - {"auto"}
    assert results["cpu"]["message"] == ""
    assert results["cpu"]["detect_ms"] > 0 < results["cpu"]["mesh_ms"]
    assert "CoreML" in results["coreml"]["message"] or results["coreml"]["detect_ms"] > 0


def test_solve_preset_is_kept_and_used():
    settings = bpy.context.scene.pose2mesh
    settings.smooth = 0.125
    assert bpy.ops.pose2mesh.solve_preset(name="Calm Walk") == {"FINISHED"}
    settings.smooth = 0.9
    folders = map(Path, bpy.utils.preset_paths("pose2mesh/solve"))
    preset, = [path for folder in folders for path in folder.glob("*.py") if "calm" in path.name.lower()]
    bpy.ops.script.execute_preset(filepath=str(preset), menu_idname="POSE2MESH_PT_solve_presets")
    assert settings.smooth == pytest.approx(0.125)
    preset.unlink()


def test_nothing_of_the_add_on_stays_in_blender():
    def hooks():
        found = [f for _, handler in handlers.LISTS for f in (handler,) for name in dir(bpy.app.handlers)
                 if isinstance(getattr(bpy.app.handlers, name), list) and f in getattr(bpy.app.handlers, name)]
        for name, draw in menus.PLACES:
            found += [f for f in getattr(bpy.types, name)._dyn_ui_initialize() if f is draw]
        return found

    operator, window = Modal(), Window()
    assert hooks()
    pose2mesh_blender.unregister()
    try:
        assert not hooks()
        assert menus.manual not in getattr(bpy.utils, "_manual_map", [])
        assert not [n for n in dir(bpy.types) if "pose2mesh" in n.lower()]
        for owner in (bpy.types.Scene, bpy.types.Object, bpy.types.Collection, bpy.types.WindowManager):
            assert not [n for n in dir(owner) if "pose2mesh" in n]
        assert jobs._client is None
        assert operator.modal(window.context, window.event("TIMER")) == {"CANCELLED"}
    finally:
        pose2mesh_blender.register()


def test_a_still_and_a_keypoint_file_can_be_corrected(demo_clip, tmp_path):
    """A still is a clip with markers; a JSON file gets size and rate from the panel, and its video carries markers."""
    import json

    from pose2mesh_blender.core.footage import open_footage
    from pose2mesh_blender.scene import tracks

    scene = bpy.context.scene
    frame = next(iter(open_footage(demo_clip).frames()))
    image = bpy.data.images.new("still", frame.image.shape[1], frame.image.shape[0])
    pixels = np.ones((*frame.image.shape[:2], 4), np.float32)
    pixels[..., :3] = frame.image[::-1] / 255
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(tmp_path / "still.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    assert bpy.ops.pose2mesh.import_footage(filepath=str(tmp_path / "still.png"), preset="fast",
                                            people=1) == {"FINISHED"}
    still = takes.takes_in(scene)[-1]
    found, = tracks.tracked_in(takes.clip_of(still))
    with Take.open(still[takes.TAKE]) as take:
        keypoints, before = take.keypoints(found.person)[0], take.vertices(found.person)[0].copy()
    marker = found.object.tracks[tracks.NAMES[9]].markers[0]  # a wrist
    marker.co = (marker.co[0] + 0.05, marker.co[1] + 0.05)
    marker.mute = False
    assert bpy.ops.pose2mesh.resolve() == {"FINISHED"}
    with Take.open(still[takes.TAKE]) as take:
        assert len(take.edits(found.person)) == 1
        assert np.abs(take.vertices(found.person)[0] - before).max() > 0.01

    path = tmp_path / "shot.json"
    path.write_text(json.dumps([{"image_id": number, "score": 0.9, "keypoints": np.nan_to_num(
        keypoints[:17]).ravel().tolist()} for number in range(3)]))
    shutil.copy(demo_clip, tmp_path / "shot.mp4")  # found by its name
    settings = scene.pose2mesh
    with pytest.raises(RuntimeError, match="how large the picture was"):
        bpy.ops.pose2mesh.import_footage(filepath=str(path))
    settings.image_size = frame.image.shape[1], frame.image.shape[0]
    settings.image_rate = 24
    assert bpy.ops.pose2mesh.import_footage(filepath=str(path)) == {"FINISHED"}
    shot = takes.takes_in(scene)[-1]
    with Take.open(shot[takes.TAKE]) as take:
        assert take.image_size == tuple(settings.image_size) and take.fps == 24
        found, = tracks.tracked_in(takes.clip_of(shot))
        # a picture of the clip for each row, though the file's rate is another than the clip's
        assert np.array_equal(np.diff(tracks.scene_frames(take, found)), [1, 1])
    settings.video = str(tmp_path / "still.png")
    settings.image_size = frame.image.shape[1] * 2, frame.image.shape[0] * 2
    assert bpy.ops.pose2mesh.import_footage(filepath=str(path)) == {"FINISHED"}
    assert takes.clip_of(takes.takes_in(scene)[-1]) is None and "left out" in jobs.last_message[1]
