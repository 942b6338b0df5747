"""The smoothing slider: the frame that is looked at follows at once, the others behind it; a new value interrupts.

The wish is the slider itself, which Blender saves and undoes; the take follows it.
"""
from __future__ import annotations

import time
from typing import Any

import bpy
import numpy as np

from ..core.errors import Pose2MeshError, TakeError
from ..core.smoothing import smoothing_of
from ..core.take import Take
from ..scene import compact, refresh, takes
from . import jobs, viewing
from .preferences import device
from .requests import TakeJob, show_rows
from .text import told

TICK = 0.03  # seconds
_wishes: dict[tuple[str, int], float] = {}  # (take, person) -> smoothing
_quiet = False


class Smoothing(TakeJob):
    """One person's smoothing."""

    def __init__(self, folder: str, person: int, smooth: float, focus: int | None) -> None:
        super().__init__(folder, {"cmd": "smooth", "person": person, "smooth": smooth, "focus": focus,
                                  "settings": {"device": device(bpy.context)}}, "")
        self.key, self.smooth, self.cut = (folder, person), smooth, False

    def _cancelled(self) -> None:
        self.over = True

    def _show_take(self, folder: Any) -> str:
        """The rows are in the meshes already, but for compact ones."""
        with Take.open(folder) as take:
            for collection in refresh.collections_of(str(folder)):
                for ob in takes.people_of(collection):
                    if int(ob[takes.PERSON]) == self.key[1]:
                        if compact.is_compact(ob):
                            refresh.show(collection, ob, take)
                        refresh.finish(ob, take)
        return ""


def want(ob: bpy.types.Object) -> None:
    """The slider of a person was moved."""
    collection = takes.collection_of(ob)
    if _quiet or collection is None or not takes.is_person(ob):
        return
    _wishes[(str(collection[takes.TAKE]), int(ob[takes.PERSON]))] = round(ob.pose2mesh.smooth, 4)  # type: ignore
    if bpy.app.background:
        while _step() is not None:
            time.sleep(0.01)
    elif not bpy.app.timers.is_registered(_step):
        bpy.app.timers.register(_step, first_interval=TICK)


def set_sliders(collection: bpy.types.Collection, take: Take) -> None:
    """The sliders show what the take has, and ask for nothing."""
    global _quiet
    _quiet = True
    try:
        for ob in takes.people_of(collection):
            ob.pose2mesh.smooth = smoothing_of(take.info, int(ob[takes.PERSON]))  # type: ignore[attr-defined]
    finally:
        _quiet = False


jobs.built.append(set_sliders)


def forget() -> None:
    """At the end of the add-on, and before another file."""
    _wishes.clear()
    if bpy.app.timers.is_registered(_step):
        bpy.app.timers.unregister(_step)


def _step() -> float | None:
    """One turn of the timer; None when nothing is left to do."""
    job = jobs.current
    if isinstance(job, Smoothing):
        wish = _wishes.get(job.key)
        if wish is not None and wish != job.smooth and not job.cut:
            job.cut = True
            jobs.client().cancel()
        job.step()
        if job.over:
            jobs.current = None
            if job.failed:
                jobs.last_message = ("ERROR", job.failed[0])
                _wishes.pop(job.key, None)
            elif _wishes.get(job.key) == job.smooth and not job.cut:
                _wishes.pop(job.key)
        viewing.redraw_sidebars(bpy.context.window_manager)
    elif job is not None:
        return 0.3 if _wishes else None
    elif _wishes:
        _begin(*next(iter(_wishes.items())))
    return TICK if _wishes or isinstance(jobs.current, Smoothing) else None


def _begin(key: tuple[str, int], smooth: float) -> None:
    folder, person = key
    try:
        with Take.open(folder) as take:
            if person not in take.people or (abs(smoothing_of(take.info, person) - smooth) < 1e-4
                                               and person not in take.info.get("unsmoothed", [])):
                show_rows(folder, person, np.flatnonzero(take.done).tolist())
                _wishes.pop(key)
                return
            focus = _focus(folder, take)
        for let_go in jobs.before_start:
            let_go()
        job = Smoothing(folder, person, smooth, focus)
        job.start()
        jobs.current = job
    except (Pose2MeshError, TakeError, OSError) as error:
        jobs.last_message = ("ERROR", told(error))
        _wishes.pop(key, None)


def _focus(folder: str, take: Take) -> int | None:
    """The row that the current frame shows."""
    for collection in refresh.collections_of(folder):
        frames = takes.timing_in(collection, take).frames
        row = int(np.searchsorted(frames, bpy.context.scene.frame_current, side="right")) - 1
        if 0 <= row < len(take):
            return row
    return None
