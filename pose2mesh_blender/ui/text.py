"""Words for the user, in the user's language; how long something takes still, how large it is."""
from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Iterable
from typing import Any

import bpy
from bpy.app.translations import pgettext_iface, pgettext_rpt


def say(message: str, *values: Any, **named: Any) -> str:
    """A translated report or label; values go where its {} are."""
    return str(pgettext_rpt(message)).format(*values, **named)  # type: ignore[func-returns-value]


def label(message: str, *values: Any) -> str:
    """A translated label; values go where its {} are."""
    return str(pgettext_iface(message)).format(*values)  # type: ignore[func-returns-value]


_known: list[str] = []  # templates of errors, the longest first


def know(texts: Iterable[str]) -> None:
    """Which texts are translated; those of errors, which end in a full stop, are found by `told`."""
    _known[:] = sorted((t for t in texts if t.endswith(".")), key=lambda t: (-len(t.replace("{}", "")), t))
    _pattern.cache_clear()


def told(error: Exception | str) -> str:
    """An error in the user's language.

    Core and the worker process speak English with the values filled in, so what is wrong and its cure are found by
    their templates. What nobody has translated stays as it is.
    """
    text = str(error)
    for end in [space.start() for space in re.finditer(" ", text)]:
        if (wrong := _translated(text[:end])) and (cure := _translated(text[end + 1:])):
            return f"{wrong} {cure}"
    return _translated(text) or text


def _translated(text: str) -> str:
    """Empty for what is no known text of an error."""
    for template in _known if text.endswith(".") else ():
        if match := _pattern(template).fullmatch(text):
            return say(template, *(_translated(value) or value for value in match.groups()))
    return ""


@functools.cache  # made when the first error is told: Blender's start should not wait for hundreds of them
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, template.split("{}"))), re.DOTALL)


def clock(seconds: float) -> str:
    """75 -> "1:15"."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def wrapped(layout: Any, text: str, width: int, alert: bool = False, icon: str = "NONE") -> None:
    """A text as lines that fit a region `width` pixels wide."""
    column = layout.column(align=True)
    column.alert = alert
    scale = bpy.context.preferences.system.ui_scale or 1.0
    for number, line in enumerate(textwrap.wrap(text, max(20, int(width / (8 * scale))))):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE", translate=False)
