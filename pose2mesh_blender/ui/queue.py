"""The list of footage to animate, with the state of each file; lives in the window manager, not in the .blend."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

ICONS = {"waiting": "TIME", "running": "PLAY", "paused": "PAUSE", "done": "CHECKMARK", "stopped": "PANEL_CLOSE",
         "failed": "ERROR"}
STATES = (("waiting", "Waiting", "Not begun"), ("running", "Running", "At work"),
          ("paused", "Paused", "Goes on where it was"), ("done", "Done", "In the scene"),
          ("stopped", "Stopped", "Animate again to go on"), ("failed", "Failed", "The message says why"))


class Pose2MeshQueueItem(bpy.types.PropertyGroup):
    """One file. `name` is its path."""

    state: EnumProperty(name="State", items=STATES, options={"SKIP_SAVE"})
    message: StringProperty(name="Message", options={"SKIP_SAVE"})


class POSE2MESH_UL_queue(bpy.types.UIList):
    bl_idname = "POSE2MESH_UL_queue"

    def draw_item(self, context: Any, layout: Any, data: Any, item: Any, icon: Any, active_data: Any,
                  active_property: Any, index: Any = 0, flt_flag: Any = 0) -> None:
        row = layout.row(align=True)
        row.label(text=Path(item.name).name, icon=ICONS[item.state], translate=False)
        state = row.row()
        state.alignment = "RIGHT"
        state.label(text=next(s[1] for s in STATES if s[0] == item.state))


CLASSES = (Pose2MeshQueueItem, POSE2MESH_UL_queue)


def add() -> None:
    manager: Any = bpy.types.WindowManager
    manager.pose2mesh_queue = bpy.props.CollectionProperty(  # type: ignore[func-returns-value]
        type=Pose2MeshQueueItem, options={"SKIP_SAVE"})
    manager.pose2mesh_queue_index = IntProperty(  # type: ignore[func-returns-value]
        name="Footage", options={"SKIP_SAVE"})


def remove() -> None:
    manager: Any = bpy.types.WindowManager
    del manager.pose2mesh_queue, manager.pose2mesh_queue_index


def items(manager: bpy.types.WindowManager) -> Any:
    return manager.pose2mesh_queue  # type: ignore[attr-defined]


def active(manager: Any) -> Any:
    """The chosen file, None for none."""
    listed, index = items(manager), manager.pose2mesh_queue_index
    return listed[index] if 0 <= index < len(listed) else None


def drop(manager: Any) -> None:
    """The chosen file goes."""
    listed, index = items(manager), manager.pose2mesh_queue_index
    listed.remove(index)
    manager.pose2mesh_queue_index = max(0, min(index, len(listed) - 1))


def append(manager: bpy.types.WindowManager, sources: list[Path]) -> int:
    """Adds what is not in the list, and returns how many that were; what is done or failed waits again."""
    known = {item.name: item for item in items(manager)}
    added = 0
    for source in map(str, sources):
        item = known.get(source) or items(manager).add()
        if item.name != source or item.state in ("done", "failed", "stopped"):
            added += 1
            item.name, item.state, item.message = source, "waiting", ""
    return added


def waiting(manager: bpy.types.WindowManager) -> list[Path]:
    """What Animate would begin with."""
    return [Path(item.name) for item in items(manager) if item.state in ("waiting", "stopped")]


def mirror(manager: Any, job: Any) -> None:
    """Shows how far a job is. One piece of footage alone needs no list."""
    listed = getattr(manager, "pose2mesh_queue", None)
    if listed is None or not job.items or (len(job.items) == 1 and not len(listed)) or not job.pausable:
        return
    known = {item.name: item for item in listed}
    for one in job.items:
        item = known.get(str(one.source)) or listed.add()
        if (item.name, item.state, item.message) != (str(one.source), one.state, one.message):
            item.name, item.state, item.message = str(one.source), one.state, one.message
