"""Live re-solve: while it is on, a marker that is dragged takes the mesh along.

A timer looks at the markers of the current frame, which costs a fraction of a millisecond; no handler of Blender tells
that a marker has moved. A worker process of its own solves, the current frame first and then its neighbours, and is
interrupted when the marker moves on. Blender's own thread only copies finished rows into shape keys.
"""
from __future__ import annotations

import atexit
import time

import bpy
import numpy as np

from ..core.errors import TakeError
from ..core.take import Take
from ..core.worker import FINISHED, WorkerClient
from ..scene import corrected, tracks
from . import jobs, keypoints
from .preferences import engine
from .text import say, told

LOOK, LISTEN = 1 / 30, 1 / 100  # seconds between two looks at the markers, and while the worker is at work
LOOK_AT_ALL = 1.0  # seconds between two looks at the markers of all frames

message = ""  # why it does not follow, for the panel
_live: Live | None = None


class Live:
    """What one switching on lasts. Holds no references to Blender's data: an undo or another file may replace it."""

    def __init__(self) -> None:
        self.client = WorkerClient()
        self.sent: tuple[str, dict] | None = None  # the take and the changes that are being solved
        self.bases: dict[int, tracks.Base] = {}  # of the people in `sent`, before
        self.before = ""  # state of the take that all meshes last showed
        self.cancelled = False
        self.glances: dict[tuple[str, str], tuple] = {}
        self.moved, self.looked_at_all = True, 0.0
        self.pending = ""  # a take that was interrupted
        self.client.start()
        self.client.send({"cmd": "warm", "settings": engine(bpy.context)})

    def step(self) -> float:
        """One turn of the timer; returns the seconds to the next."""
        if jobs.current is not None:
            self.stop_request()
            return 0.5
        for event in self.client.poll():
            self._hear(event)
        self._glance()
        if self.client.busy:
            if self.moved and self.sent and not self.cancelled and self._moved_on(*self.sent):
                self.cancelled = True
                self.client.cancel()
        elif self.moved or time.monotonic() - self.looked_at_all > LOOK_AT_ALL:
            self.moved, self.looked_at_all = False, time.monotonic()
            for folder, people in keypoints.edited_in(bpy.context.scene).items():
                self._send(folder, people)
                break
        if self.pending and not self.client.busy:
            self._send(self.pending, {})
        return LISTEN if self.client.busy else LOOK

    def end(self) -> None:
        self.client.terminate(0.5)

    def _hear(self, event: dict) -> None:
        global message
        if event["event"] == "rows" and self.sent:
            keypoints.show(self.sent[0], event["person"], np.array(event["rows"]))
            _redraw()
        elif event["event"] in FINISHED and self.sent:
            (folder, people), self.sent = self.sent, None
            self.pending = folder if event["event"] == "cancelled" else ""
            message = told(event.get("message", ""))
            if event["event"] != "error":
                keypoints.settle(folder, people)
            if event["event"] == "done":
                with Take.open(folder) as take:
                    corrected.finish(take, self.before)

    def _glance(self) -> None:
        """Sees whether a marker of the current frame has moved."""
        frame = bpy.context.scene.frame_current
        seen = {}
        for tracked in tracks.tracked_anywhere():
            key = (tracked.clip_name, tracked.name)
            seen[key] = (frame, tracks.glance(tracked, frame - tracked.clip.frame_start + 1))
            before = self.glances.get(key)
            self.moved |= before is not None and before[0] == frame and before != seen[key]
        self.glances = seen

    def _moved_on(self, folder: str, people: dict) -> bool:
        """Whether the markers are no longer as they were sent."""
        self.moved = False
        for person, (source, found) in people.items():
            for tracked in tracks.tracked_anywhere(folder, person):
                if tracked.clip_name == source.clip_name:
                    now = tracks.changes(tracked, self.bases[person])
                    if not all(np.array_equal(getattr(now, name), getattr(found, name), equal_nan=name == "values")
                               for name in ("rows", "joints", "values")):
                        self.moved = True  # is to be sent when the worker is free
        return self.moved

    def _send(self, folder: str, people: dict) -> None:
        with Take.open(folder) as take:
            self.before = self.before if self.pending == folder else tracks.state_of(take)
            self.bases = {person: keypoints.base(tracked, take) for person, (tracked, _) in people.items()}
        self.sent, self.cancelled, self.pending = (folder, people), False, ""
        self.client.send({**keypoints.request_of(folder, people, engine(bpy.context)), "focus": self._focus(folder)})

    def _focus(self, folder: str) -> int:
        with Take.open(folder) as take:
            tracked = next(iter(tracks.tracked_anywhere(folder)))
            return keypoints.row_at(tracks.scene_frames(take, tracked), bpy.context.scene.frame_current)

    def stop_request(self) -> None:
        """Lets the take go, for a job that wants it."""
        if self.client.busy:
            self.client.cancel()
            end = time.monotonic() + 2
            while self.client.busy and time.monotonic() < end:
                for event in self.client.poll():
                    self._hear(event)
                time.sleep(0.005)


def is_on() -> bool:
    return _live is not None


def switch(on: bool) -> None:
    """Starts or ends following; ending waits for nothing, the take is consistent at any moment."""
    global _live, message
    if on == is_on():
        return
    message = ""
    if on:
        _live = Live()
        atexit.register(_live.end)
        bpy.app.timers.register(_tick, first_interval=LOOK, persistent=True)
    else:
        ending, _live = _live, None
        assert ending is not None
        ending.end()
        atexit.unregister(ending.end)
        if bpy.app.timers.is_registered(_tick):
            bpy.app.timers.unregister(_tick)


def _let_go() -> None:
    """Before a job starts: no request of ours holds a take."""
    if _live is not None:
        _live.stop_request()


jobs.before_start.append(_let_go)


def _tick() -> float | None:
    global message
    if _live is None:
        return None
    try:
        return _live.step()
    except TakeError as error:
        message = told(error)
        return 1.0
    except (ReferenceError, KeyError, StopIteration, OSError) as error:  # deleted between two lines
        message = say("Waiting ({})", error)
        return 1.0


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "CLIP_EDITOR"):
                area.tag_redraw()
