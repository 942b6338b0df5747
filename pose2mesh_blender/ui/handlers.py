"""What must be followed beyond our own buttons: undo, redo, another file."""
from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import jobs, roster, smoothing


@persistent
def after_undo(*_: object) -> None:
    """The scene is what it was: the take follows."""
    roster.follow()


@persistent
def before_load(*_: object) -> None:
    """Wishes for the file that goes are forgotten; what the worker does for it ends."""
    smoothing.forget()
    jobs.last_message = ("", "")
    if jobs.current is not None and not jobs.in_window():
        jobs.shut_down()


LISTS = (("undo_post", after_undo), ("redo_post", after_undo), ("load_pre", before_load))


def add() -> None:
    for name, handler in LISTS:
        getattr(bpy.app.handlers, name).append(handler)


def remove() -> None:
    for name, handler in LISTS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
