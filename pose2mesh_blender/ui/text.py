"""Words for the user, in the user's language; how long something takes still, how large it is."""
from __future__ import annotations

import textwrap
from typing import Any

import bpy
from bpy.app.translations import pgettext_iface, pgettext_rpt


def say(message: str, *values: Any, **named: Any) -> str:
    """A translated report or label; values go where its {} are."""
    return str(pgettext_rpt(message)).format(*values, **named)  # type: ignore[func-returns-value]


def label(message: str, *values: Any) -> str:
    """A translated label; values go where its {} are."""
    return str(pgettext_iface(message)).format(*values)  # type: ignore[func-returns-value]


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
