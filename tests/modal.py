"""A modal operator driven without Blender's window manager: the context and the events that a window would send."""
from __future__ import annotations

import time
from types import SimpleNamespace

import bpy

from pose2mesh_blender.ui import jobs
from pose2mesh_blender.ui.properties import AnimateOptions


class Window:
    """What a modal operator meets in a window: a context with timers and a status bar, and events."""

    status: str | None = None

    def __init__(self) -> None:
        self.timers = 0
        context = bpy.context
        self.context = SimpleNamespace(
            scene=context.scene, preferences=context.preferences, window=None, screen=context.screen,
            workspace=SimpleNamespace(status_text_set=self.set_status),
            window_manager=SimpleNamespace(event_timer_add=self.add, event_timer_remove=self.remove, windows=(),
                                           modal_handler_add=lambda operator: True))

    def set_status(self, text):
        Window.status = text

    def add(self, seconds, window):
        self.timers += 1
        return object()

    def remove(self, timer):
        self.timers -= 1

    def event(self, kind: str):
        return SimpleNamespace(type=kind, value="PRESS")


class Modal(jobs.WorkerOperator):
    """The operators' common part without Blender's window manager."""

    def __init__(self) -> None:
        self.reports = []

    def report(self, kinds, message):
        self.reports.append((*kinds, message))


def begin(clip, **settings):
    window, operator = Window(), Modal()
    options = {"preset": "fast", "people": 1, "start": 0, "end": None, "step": 1, "fov": None, "smooth": 0.5,
               "feet": True, "height": None, "body": None}
    assert set(options) == set(AnimateOptions.__annotations__)
    assert operator.run(window.context, [clip], {**options, **settings}, modal=True) == {"RUNNING_MODAL"}
    return window, operator


def tick(window, operator, until, kind="TIMER", seconds=300):
    """Timer events until `until()` or the operator's end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = operator.modal(window.context, window.event(kind))
        if result & {"FINISHED", "CANCELLED"} or until():
            return result
        time.sleep(0.05)
    raise AssertionError("it took too long")
