"""The child process: real requests, cancelling, crashes, and that nothing of it outlives its parent."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from events import one_by_one

from pose2mesh_blender.core import worker as worker_module
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.core.worker import FINISHED, WorkerClient


@pytest.fixture
def client():
    client = one_by_one(WorkerClient())
    yield client
    client.terminate()


def listen(client: WorkerClient, until=FINISHED, seconds: float = 120) -> list[dict]:
    """Events up to one of the kinds in `until`; later ones are left for the next call."""
    events, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        event = next(iter(client.poll()), None)
        if event is None:
            time.sleep(0.02)
            continue
        events.append(event)
        if event["event"] in until:
            return events
    raise AssertionError(f"no {until} within {seconds} s: {events[-3:]}")


def test_animates_stays_warm_and_solves_again(client, tmp_path, demo_clip):
    request = {"cmd": "animate", "input": str(demo_clip), "take": str(tmp_path / "take"),
               "settings": {"end": 8, "preset": "fast", "people": 1}}
    client.send(request)
    events = listen(client)
    assert events[-1] == {"event": "done", "take": str(tmp_path / "take")}, events[-1]
    stages = [e["stage"] for e in events if e["event"] == "progress"]
    assert {"open", "detect", "solve", "mesh"} <= set(stages) and not client.busy and client.running
    take = Take.open(tmp_path / "take")
    assert take.done.all() and take.people
    before = np.array(take.vertices(take.people[0]))
    client.send({"cmd": "solve", "take": str(tmp_path / "take"), "settings": {"smooth": 0.0}})
    assert listen(client)[-1]["event"] == "done"
    after = np.array(Take.open(tmp_path / "take").vertices(take.people[0]))
    assert np.isfinite(after).any() and np.nanmax(np.abs(after - before)) > 1e-5


def test_cancel_keeps_finished_frames_and_can_solve_them(client, tmp_path, long_clip):
    request = {"cmd": "animate", "input": str(long_clip), "take": str(tmp_path / "take"),
               "settings": {"preset": "fast"}}
    client.send(request)
    listen(client, ("progress",))
    while client.busy:
        events = listen(client, ("progress", *FINISHED))
        if events[-1].get("stage") == "detect" and events[-1]["done"] >= 3:
            break
    client.cancel()
    assert listen(client)[-1]["event"] == "cancelled"
    take = Take.open(tmp_path / "take")
    finished = int(take.detected.sum())
    assert 3 <= finished < len(take)
    client.send(request)
    while listen(client, ("progress", *FINISHED))[-1].get("stage") != "detect":
        assert client.busy
    client.cancel(keep=True)
    assert listen(client)[-1]["event"] == "done"
    take = Take.open(tmp_path / "take")
    assert finished <= take.detected.sum() < len(take) and take.solved.sum() == take.detected.sum()
    assert take.done.any() and np.isfinite(take.vertices(take.people[0])[take.done]).any()


@pytest.mark.parametrize(("change", "words"), [
    ({"input": "/nowhere/shot.mp4"}, "shot.mp4"),
    ({"settings": {"colour": "red"}}, "Unknown setting: colour"),
    ({"settings": {"smooth": 7}}, "smooth"),
    ({"cmd": "dance"}, "does not know"),
    ({"cmd": "solve", "take": "/nowhere/take"}, "is not a take"),
])
def test_errors_are_messages_and_the_worker_lives_on(client, tmp_path, demo_clip, change, words):
    client.send({"cmd": "animate", "input": str(demo_clip), "take": str(tmp_path / "take"), "settings": {}, **change})
    event = listen(client)[-1]
    assert event["event"] == "error" and words in event["message"] and "\n" not in event["message"]
    assert client.running and not event.get("crashed")


def test_a_crash_is_one_message(client, tmp_path, demo_clip):
    client.start()
    listen(client, ("ready",))
    client.send({"cmd": "animate", "input": str(demo_clip), "take": str(tmp_path / "take")})
    client._process.kill()
    event = listen(client)[-1]
    assert event["event"] == "error" and event["crashed"] and "Finished frames are kept" in event["message"]
    assert client.poll() == [] and not client.busy and not client.running
    client.send({"cmd": "dance"})  # starts a new one
    assert "does not know" in listen(client)[-1]["message"]


def test_ends_with_its_parent():
    code = """
import sys, time
from pose2mesh_blender.core.worker import WorkerClient
client = WorkerClient()
client.start()
print(client._process.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the worker outlived its parent")


def test_runs_isolated_under_any_package_name(tmp_path):
    """As in Blender: `-I -u`, the file's path, third-party folders as arguments, the package under a fixed name."""
    paths = [argument for p in sys.path if p for argument in ("--path", p)]
    done = subprocess.run([sys.executable, "-I", "-u", worker_module.__file__, *paths], cwd=tmp_path, text=True,
                          input='{"cmd": "dance"}\nnonsense\n{"cmd": "quit"}\n', capture_output=True, timeout=300)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and '"ready"' in lines[0] and len(lines) == 3, done
    assert all('"error"' in line for line in lines[1:])


def test_terminate_needs_no_force(client):
    client.start()
    listen(client, ("ready",))
    process = client._process
    client.terminate(timeout=60)
    assert process.returncode == 0 and not client.running


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_the_childs_networks_have_as_many_threads_as_the_settings_say(client):
    def threads(count: int) -> int:
        client.send({"cmd": "warm", "settings": {"device": "cpu", "threads": count}})
        assert listen(client)[-1]["event"] == "done"
        return len(os.listdir(f"/proc/{client._process.pid}/task"))

    one = threads(1)
    assert threads(3) == one + 2 * 4, "two more for each of the four networks"
    assert threads(1) == one + 2 * 4, "which are kept"
    client.send({"cmd": "warm", "settings": {"threads": -1}})
    assert "threads must be 0 or more" in listen(client)[-1]["message"]
