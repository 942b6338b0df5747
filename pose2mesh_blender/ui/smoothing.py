"""Smoothing and kind of shape: the frame that is looked at follows at once, the others behind; new values interrupt.

The wish is the property itself, which Blender saves and undoes; the take follows it.
"""
from __future__ import annotations

import time
from typing import Any

import bpy
import numpy as np

from ..core.errors import Pose2MeshError, TakeError
from ..core.smoothing import is_free, smoothing_of
from ..core.take import Take
from ..scene import compact, refresh, takes
from . import jobs, viewing
from .preferences import engine
from .requests import TakeJob, show_rows
from .text import told

TICK = 0.03  # seconds
Wish = tuple[float, bool]  # smoothing, whether the shape is free
_wishes: dict[tuple[str, int], Wish] = {}  # by take and person
_quiet = False


class Smoothing(TakeJob):
    """One person, smoothed or shaped otherwise."""

    def __init__(self, folder: str, person: int, wish: Wish, focus: int | None) -> None:
        super().__init__(folder, {"cmd": "smooth", "person": person, "smooth": wish[0], "free": wish[1], "focus": focus,
                                  "settings": engine(bpy.context)}, "")
        self.key, self.wish, self.cut = (folder, person), wish, False

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
    """The slider of a person was moved, or the shape locked or freed."""
    collection = takes.collection_of(ob)
    if _quiet or collection is None or not takes.is_person(ob):
        return
    here: Any = ob.pose2mesh  # type: ignore[attr-defined]
    _wishes[(str(collection[takes.TAKE]), int(ob[takes.PERSON]))] = round(here.smooth, 4), not here.lock_shape
    if bpy.app.background:
        while _step() is not None:
            time.sleep(0.01)
    elif not bpy.app.timers.is_registered(_step):
        bpy.app.timers.register(_step, first_interval=TICK)


def set_sliders(collection: bpy.types.Collection, take: Take) -> None:
    """The properties show what the take has, and ask for nothing."""
    global _quiet
    _quiet = True
    try:
        for ob in takes.people_of(collection):
            here: Any = ob.pose2mesh  # type: ignore[attr-defined]
            person = int(ob[takes.PERSON])
            here.smooth, here.lock_shape = smoothing_of(take.info, person), not is_free(take.info, person)
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
        if wish is not None and wish != job.wish and not job.cut:
            job.cut = True
            jobs.client().cancel()
        job.step()
        if job.over:
            jobs.current = None
            if job.failed:
                jobs.last_message = ("ERROR", job.failed[0])
                _wishes.pop(job.key, None)
            elif _wishes.get(job.key) == job.wish and not job.cut:
                _wishes.pop(job.key)
        viewing.redraw_sidebars(bpy.context.window_manager)
    elif job is not None:
        return 0.3 if _wishes else None
    elif _wishes:
        _begin(*next(iter(_wishes.items())))
    return TICK if _wishes or isinstance(jobs.current, Smoothing) else None


def _begin(key: tuple[str, int], wish: Wish) -> None:
    folder, person = key
    try:
        with Take.open(folder) as take:
            if person not in take.people or (abs(smoothing_of(take.info, person) - wish[0]) < 1e-4
                                             and is_free(take.info, person) == wish[1]
                                             and person not in take.info.get("unsmoothed", [])):
                show_rows(folder, person, np.flatnonzero(take.done).tolist())
                _wishes.pop(key)
                return
            focus = _focus(folder, take)
        for let_go in jobs.before_start:
            let_go()
        job = Smoothing(folder, person, wish, focus)
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
