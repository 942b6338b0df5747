"""Queue: the state of each file, pause and retry. It shows itself only when there is more than one."""
from __future__ import annotations

import bpy

from . import queue
from .panel import OPEN, SubPanel
from .text import wrapped


class POSE2MESH_PT_queue(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_queue"
    bl_label = "Queue"
    bl_options = OPEN
    bl_order = 0

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(len(queue.items(context.window_manager)))

    def draw(self, context: bpy.types.Context) -> None:
        layout, manager = self.layout, context.window_manager
        row = layout.row()
        row.template_list("POSE2MESH_UL_queue", "", manager, "pose2mesh_queue", manager, "pose2mesh_queue_index",
                          rows=3)
        column = row.column(align=True)
        column.operator("pose2mesh.queue_remove", icon="REMOVE", text="")
        column.operator("pose2mesh.queue_clear", icon="X", text="")
        column.separator()
        column.operator("pose2mesh.queue_retry", icon="FILE_REFRESH", text="")
        index = manager.pose2mesh_queue_index  # type: ignore[attr-defined]
        listed = queue.items(manager)
        if 0 <= index < len(listed) and listed[index].message:
            wrapped(layout, listed[index].message, context.region.width, alert=listed[index].state == "failed")


CLASSES = (POSE2MESH_PT_queue,)
