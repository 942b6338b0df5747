"""Whom a take shows: the scene says it, the take follows. After an undo the scene is right."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy

from ..core import roster
from ..core.errors import Pose2MeshError, TakeError
from ..core.smoothing import is_free, smoothing_of
from ..core.take import Take
from ..scene import refresh, takes
from . import jobs, smoothing
from .requests import TakeJob
from .text import say, told


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What cannot be written, because another Blender writes or the folder is gone, is said in the panel."""
    try:
        yield
    except Pose2MeshError as error:
        jobs.last_message = ("ERROR", told(error))


def rename(collection: bpy.types.Collection, ob: bpy.types.Object) -> None:
    with _told(), Take.open(collection[takes.TAKE], write=True) as take:
        roster.rename(take, int(ob[takes.PERSON]), ob.name)


def switch(ob: bpy.types.Object, on: bool) -> None:
    """Whether a person is solved."""
    collection = takes.collection_of(ob)
    if collection is None:
        return
    person, off = int(ob[takes.PERSON]), refresh.off_in(collection)
    if on == (person not in off):
        return
    off = [p for p in off if p != person] + ([] if on else [person])
    with _told():
        seat(collection, [int(o[takes.PERSON]) for o in takes.people_of(collection)
                          if int(o[takes.PERSON]) not in off])
        refresh.set_off(collection, off)


def seat(collection: bpy.types.Collection, people: list[int]) -> None:
    """The take solves these people. Raises TakeError; who is out of date is solved again as a job."""
    folder = str(collection[takes.TAKE])
    if jobs.current is not None:
        raise TakeError(say("Pose2Mesh is at work."), say("Wait, or press Esc to stop it."))
    with Take.open(folder, write=True) as take:
        names = roster.everybody(take)
        order = [p for p in people if p in names]
        if not any(roster.stale(take, p) for p in order):
            roster.seat(take, order)
            refresh.note(collection, take)
            return
    job = TakeJob(folder, {"cmd": "seat", "people": order}, "")
    job.start()
    run_in_background(job)


def run_in_background(job: TakeJob) -> None:
    """Without an operator: a timer drives it, and in background mode nobody."""
    jobs.current = job

    def step() -> float | None:
        if jobs.current is not job:
            return None
        job.step()
        if not job.over:
            return 0.05
        jobs.current = None
        if job.failed:
            jobs.last_message = ("ERROR", job.failed[0])
        return None

    if bpy.app.background:
        import time

        while step() is not None:
            time.sleep(0.01)
    else:
        bpy.app.timers.register(step, first_interval=0.05)


def follow() -> None:
    """After an undo or redo: each take solves whom the scene shows, as smoothly as the sliders say."""
    for collection in list(bpy.data.collections):
        if not collection.get(takes.TAKE) or collection.get(refresh.PEOPLE) is None:
            continue
        with contextlib.suppress(TakeError):
            _follow(collection)


def _follow(collection: bpy.types.Collection) -> None:
    shown = [int(p) for p in collection[refresh.PEOPLE]]
    with Take.open(collection[takes.TAKE]) as take:
        there, people = roster.everybody(take), take.people
        settings = {p: (smoothing_of(take.info, p), is_free(take.info, p)) for p in people}
    if shown != people and set(shown) <= set(there):
        with _told():
            seat(collection, shown)
    for ob in takes.people_of(collection):
        wish, now = ob.pose2mesh, settings.get(int(ob[takes.PERSON]))  # type: ignore[attr-defined]
        if now is not None:
            smooth, free = now
            smooths, frees = {wish.smooth, ob.get(refresh.SMOOTH, smooth)}, {bool(ob.get(refresh.FREE, free))}
            if max(abs(s - smooth) for s in smooths) > 1e-6 or frees | {not wish.lock_shape} != {free}:
                smoothing.want(ob)
