"""The Pose2Mesh tab: what is going on, and the next step. The sub-panels are in files of their own."""
from __future__ import annotations

from typing import Any

import bpy

from ..scene import takes
from . import icons, jobs, queue
from .properties import settings_of
from .text import label, say, wrapped

# Blender's stubs want literals here, which a class that is mixed in cannot promise.
SPACE: Any = "VIEW_3D"
REGION: Any = "UI"
CLOSED: Any = {"DEFAULT_CLOSED"}
OPEN: Any = set()


class Sidebar:
    """Where our panels are."""

    bl_space_type, bl_region_type, bl_category = SPACE, REGION, "Pose2Mesh"


class SubPanel(Sidebar):
    bl_parent_id = "POSE2MESH_PT_main"
    bl_options = CLOSED


class POSE2MESH_PT_main(Sidebar, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_main"
    bl_label = "Pose2Mesh"

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.label(text="", icon_value=icons.value("pose2mesh"))

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.prop(settings, "footage", text="")
        job = jobs.current
        if job:
            draw_progress(layout, job)
        else:
            row = layout.row()
            row.scale_y = 1.6
            waiting = len(queue.waiting(context.window_manager))
            row.operator("pose2mesh.animate", icon="PLAY", text="Animate All" if waiting else "Animate")
        level, text = jobs.last_message
        if level == "ERROR":
            wrapped(layout, text, context.region.width, alert=True, icon="ERROR")
        elif not job:
            column = layout.column(align=True)
            for line in help_lines(context):
                wrapped(column, line, context.region.width)


def draw_progress(layout: bpy.types.UILayout, job: jobs.Job) -> None:
    """How far the job is, and how it can be stopped."""
    layout.progress(factor=job.fraction, text=job.text, type="BAR")
    row = layout.row(align=True)
    if job.pausable:
        row.operator("pose2mesh.pause", text="Continue" if job.paused else "Pause",
                     icon="PLAY" if job.paused else "PAUSE")
    row.operator("pose2mesh.cancel", text="Stop at Once" if job.stopping else "Stop", icon="CANCEL")


def help_lines(context: bpy.types.Context) -> tuple[str, ...]:
    """Two lines that say what to do now."""
    here = takes.takes_in(context.scene)
    if jobs.last_message[0] == "STOPPED":
        return jobs.last_message[1], say("Animate again to go on")
    if not here and not settings_of(context.scene).footage and not queue.waiting(context.window_manager):
        return label("1. Choose or drop a video."), label("2. Press Animate.")
    if not here:
        return label("Press Animate: each person becomes a mesh."), label("Blender stays usable meanwhile.")
    return label("Space plays it. Correct keypoints,"), label("then export.")


CLASSES = (POSE2MESH_PT_main,)
