"""Which take folder a piece of footage gets."""
from __future__ import annotations

import hashlib
from pathlib import Path

import bpy

from ..core.copies import copy_detection
from ..core.errors import TakeError
from ..core.keypoint_files import is_keypoint_input
from ..core.take import Take
from ..scene import takes


def folder_for(cache: Path, source: Path, settings: dict) -> Path:
    """The take of the same footage with the same detection settings, so that stopped work goes on there.

    When a scene shows that take and it is finished, another one beside it, which has its detection.
    """
    first = cache / take_name(source, settings)
    shown = {str(c.get(takes.TAKE)) for c in bpy.data.collections}
    folder, number = first, 1
    try:
        while str(folder) in shown:
            with Take.open(folder) as take:
                if not take.done.all():
                    return folder
            number += 1
            folder = first.with_name(f"{first.name}-{number}")
        if folder != first and not folder.exists():
            copy_detection(first, folder)
    except TakeError:
        return folder  # damaged or gone: the worker says so, or begins it
    return folder


def take_name(source: Path, settings: dict) -> str:
    """The same footage with the same detection settings has the same folder, so stopped work goes on there."""
    try:
        facts = source.stat()
        state = f"{facts.st_size} {facts.st_mtime_ns}"
    except OSError:
        state = ""
    key = [str(source), state, *(str(settings[k]) for k in ("preset", "start", "end", "step"))]
    own = ("image_size", "fps") if is_keypoint_input(source) else ("confidence", "detector")
    key += [f"{name} {settings[name]}" for name in own if settings.get(name)]
    return f"{source.stem[:40]}-{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:10]}"
