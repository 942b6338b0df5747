"""Entries in File > Import and File > Export, the progress in the status bar, and links to the manual."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from . import jobs

PAGES = (("bpy.ops.pose2mesh.*", "guide.md"), ("bpy.types.pose2mesh*", "guide.md"))


def draw_import(self: Any, context: Any) -> None:
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator("pose2mesh.import_footage", text="Footage as Animated Mesh")
    self.layout.operator("pose2mesh.import_folder", text="Folder of Footage as Animated Meshes")


def draw_export(self: Any, context: Any) -> None:
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator("pose2mesh.export_people", text="Pose2Mesh")


def draw_status(self: Any, context: Any) -> None:
    """A bar at the right of the status bar while something is at work."""
    job = jobs.current
    if job is None:
        return
    row = self.layout.row()
    row.ui_units_x = 12
    row.progress(factor=job.fraction, text=job.text, type="BAR")


def manual() -> tuple[str, tuple[tuple[str, str], ...]]:
    """Online Manual of a button's menu: docs/ of the repository, which the zip brings, so no network is needed."""
    package = Path(__file__).resolve().parents[1]
    docs = next((d for d in (package / "docs", package.parent / "docs") if d.is_dir()), package / "docs")
    return docs.as_uri() + "/", PAGES


PLACES = (("TOPBAR_MT_file_import", draw_import), ("TOPBAR_MT_file_export", draw_export),
          ("STATUSBAR_HT_header", draw_status))


def add() -> None:
    for name, draw in PLACES:
        getattr(bpy.types, name).append(draw)
    bpy.utils.register_manual_map(manual)


def remove() -> None:
    bpy.utils.unregister_manual_map(manual)
    for name, draw in PLACES:
        getattr(bpy.types, name).remove(draw)
