"""Our own icons, in the tone that the theme needs."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews

NAMES = ("pose2mesh", "person")
_previews: Any = None


def folder() -> Path:
    """Where the pictures lie: in the add-on, else beside the package (a checkout)."""
    package = Path(__file__).resolve().parents[1]
    return next((f for f in (package / "icons", package.parent / "icons") if f.is_dir()), package / "icons")


def add() -> None:
    global _previews
    _previews = bpy.utils.previews.new()
    for path in sorted(folder().glob("*_light.png")) + sorted(folder().glob("*_dark.png")):
        _previews.load(path.stem, str(path), "IMAGE")


def remove() -> None:
    global _previews
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None


def value(name: str) -> int:
    """Number of an icon for `icon_value`; 0, which is none, where there are no pictures."""
    found = _previews.get(f"{name}_{_tone()}") if _previews is not None else None
    return found.icon_id if found is not None else 0


def _tone() -> str:
    """A light icon on a dark theme, and the other way round."""
    theme: Any = bpy.context.preferences.themes[0]
    colours = getattr(theme.view_3d.space, "panelcolors", None)  # until 4.5
    back = colours.back if colours else theme.user_interface.panel_back
    return "light" if sum(back[:3]) / 3 < 0.5 else "dark"
