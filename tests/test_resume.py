"""Killed, cancelled and repeated runs on real footage: finished frames stay, and the result is the same."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import held_cli
import numpy as np
import pytest

from pose2mesh_blender.core import pipeline
from pose2mesh_blender.core.errors import Cancelled, TakeError
from pose2mesh_blender.core.pipeline import Engines, Settings, run
from pose2mesh_blender.core.results import read_result
from pose2mesh_blender.core.solve_take import MESH_CHUNK, solve_take
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.core.track_log import read_log

END = 39
SETTINGS = Settings(preset="fast", end=END)


@pytest.fixture(scope="module")
def engines() -> Engines:
    return Engines()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, demo_clip, engines) -> Take:
    """The uninterrupted run."""
    return run(demo_clip, tmp_path_factory.mktemp("whole") / "take", SETTINGS, engines=engines)


def same(a: Take, b: Take) -> None:
    assert a.people == b.people and a.done.all() and b.done.all()
    np.testing.assert_array_equal(a.timestamps, b.timestamps)
    np.testing.assert_allclose(a.world_from_camera, b.world_from_camera, atol=1e-9)
    for person in a.people:
        for name in ("keypoints", "vertices", "translation", "joints", "shape"):
            np.testing.assert_array_equal(getattr(a, name)(person), getattr(b, name)(person), err_msg=name)


def test_kill_9_loses_no_finished_frame_and_the_same_command_resumes(tmp_path, demo_clip, whole):
    out, folder = tmp_path / "result.npz", tmp_path / "take"
    command = ["solve", str(demo_clip), "-o", str(out), "--quality", "fast", "--end", str(END), "--take", str(folder)]
    for frames in (5, 12, 20):  # killed three times, on the way to a row that it does not pass
        process = subprocess.Popen([sys.executable, held_cli.__file__, str(frames + 8), held_cli.__file__, *command],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        flags, end = folder / "take.json", time.monotonic() + 120
        while not (flags.exists() and Take.open(folder).detected.sum() >= frames):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not out.exists() and not list(tmp_path.glob("*.part*"))
        finished = Take.open(folder).detected
        assert finished[:frames].all() and not finished.all()
        kept = list(read_log(folder / "tracks.bin"))
        assert len(kept) >= finished.sum()
    before = [(ids.tolist(), keypoints.tobytes()) for _, ids, keypoints in kept[:finished.sum()]]
    done = subprocess.run([sys.executable, "-m", "pose2mesh_blender.cli", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = [(ids.tolist(), keypoints.tobytes()) for _, ids, keypoints in read_log(folder / "tracks.bin")]
    assert after[:len(before)] == before
    same(Take.open(folder), whole)
    result = read_result(out)
    np.testing.assert_array_equal(result["vertices"][0], whole.vertices(whole.people[0]))


def test_a_cancelled_solve_goes_on(tmp_path, demo_clip, engines, whole):
    pieces = []
    with pytest.raises(Cancelled):
        run(demo_clip, tmp_path / "t", SETTINGS, lambda *p: pieces.append(p), lambda: pieces[-1][0] == "mesh", engines)
    take = Take.open(tmp_path / "t")
    assert take.detected.all() and take.solved.sum() == MESH_CHUNK
    assert np.isfinite(take.vertices(take.people[0])[take.solved]).all()
    pieces.clear()
    same(run(demo_clip, tmp_path / "t", SETTINGS, lambda *p: pieces.append(p), engines=engines), whole)
    assert [p for p in pieces if p[0] == "mesh"] == [("mesh", END + 1, END + 1)]  # the first piece was not made again


class StopAndKeep:
    """The user's wish to stop and keep what is done, when a stage has come so far."""

    def __init__(self, stage: str, done: int) -> None:
        self.wish, self.asked = (stage, done), False

    def progress(self, stage, done, total):
        self.asked = self.asked or (stage, done) == self.wish

    def __call__(self):
        return self.asked

    def at_once(self):
        return False

    def take_keep(self):
        asked, self.asked = self.asked, False
        return asked


@pytest.mark.parametrize(("stage", "done", "solved"), [("detect", 6, 6), ("solve", 0, END + 1), ("mesh", 32, 32)])
def test_stopping_keeps_what_is_done(tmp_path, demo_clip, engines, whole, stage, done, solved):
    stop = StopAndKeep(stage, done)
    take = run(demo_clip, tmp_path / "t", SETTINGS, stop.progress, stop, engines)
    assert take.done.sum() == solved and take.people == whole.people
    person = take.people[0]
    assert np.isfinite(take.vertices(person)[take.done]).all()
    if stage == "detect":
        same(run(demo_clip, tmp_path / "t", SETTINGS, engines=engines), whole)


def test_a_finished_take_costs_nothing_and_new_solve_settings_only_the_solve(tmp_path, demo_clip, engines):
    settings = Settings(preset="fast", end=7)
    first = run(demo_clip, tmp_path / "t", settings, engines=engines)
    stages = []

    def note(stage, done, total):
        stages.append((stage, done))

    run(demo_clip, tmp_path / "t", settings, note, engines=engines)
    assert not [s for s in stages if s[0] == "mesh"]
    before = first.translation(first.people[0])
    wider = run(demo_clip, tmp_path / "t", Settings(preset="fast", end=7, fov=80), note, engines=engines)
    assert [s for s in stages if s[0] == "detect"] == [("detect", 8)] * 2  # nothing was detected anew
    assert np.median(wider.translation(wider.people[0])[:, 2]) < 0.8 * np.median(before[:, 2])


def test_people_are_chosen_again_without_detecting(tmp_path, demo_clip, engines):
    both = run(demo_clip, tmp_path / "t", Settings(preset="fast", end=7), engines=engines)
    one = run(demo_clip, tmp_path / "t", Settings(preset="fast", end=7, people=1), engines=engines)
    assert len(one.people) == 1 and one.people == both.people[:1]


def test_corrected_keypoints_stay_and_are_solved(tmp_path, demo_clip, engines):
    settings = Settings(preset="fast", end=7, people=1)
    take = run(demo_clip, tmp_path / "t", settings, engines=engines)
    person, before = take.people[0], np.array(take.vertices(take.people[0]))
    keypoints = take.keypoints(person)
    keypoints[:, 9, 1] -= 60  # the user drags a wrist
    with Take.open(tmp_path / "t", write=True) as take:
        take.set_keypoints(person, keypoints)
        solve_take(take, engines.network("auto"), settings)
    again = run(demo_clip, tmp_path / "t", settings, engines=engines)
    np.testing.assert_array_equal(again.keypoints(person), keypoints)
    assert np.abs(again.vertices(person) - before).max() > 0.02


def test_other_footage_and_other_settings_are_refused(tmp_path, demo_clip, engines):
    settings = Settings(preset="fast", end=2)
    run(demo_clip, tmp_path / "t", settings, engines=engines)
    for changed in (Settings(preset="accurate", end=2), Settings(preset="fast", end=3), Settings(preset="fast", end=2,
                                                                                              step=2)):
        with pytest.raises(TakeError, match="other settings"):
            run(demo_clip, tmp_path / "t", changed, engines=engines)
    info = json.loads((tmp_path / "t" / "take.json").read_text())
    info["footage"]["identity"] = {"size": 1}
    (tmp_path / "t" / "take.json").write_text(json.dumps(info))
    with pytest.raises(TakeError, match="other footage") as error:
        run(demo_clip, tmp_path / "t", settings, engines=engines)
    assert "--take" in error.value.cure


def test_moved_footage_is_the_same_footage(tmp_path, demo_clip, engines):
    settings = Settings(preset="fast", end=2)
    run(demo_clip, tmp_path / "t", settings, engines=engines)
    moved = tmp_path / "élsewhere and renamed.mp4"
    moved.write_bytes(demo_clip.read_bytes())
    take = run(moved, tmp_path / "t", settings, engines=engines)
    assert take.footage["path"] == str(moved)


def test_lost_memory_of_detection_starts_again(tmp_path, demo_clip, engines):
    """After a power cut the file that is not forced to the disk may be gone; the result must still be right."""
    settings = Settings(preset="fast", end=5)
    expected = run(demo_clip, tmp_path / "a", settings, engines=engines)
    calls = []
    with pytest.raises(Cancelled):
        run(demo_clip, tmp_path / "b", settings, lambda *p: calls.append(p), lambda: calls[-1][:2] == ("detect", 3),
            engines)
    os.truncate(tmp_path / "b" / pipeline.STATE, 10)
    same(run(demo_clip, tmp_path / "b", settings, engines=engines), expected)
