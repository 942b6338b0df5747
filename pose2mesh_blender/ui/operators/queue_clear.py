"""pose2mesh.queue_clear: empty the queue."""
from __future__ import annotations

import bpy

from .. import jobs, queue
from ..people import poll_idle
from ..properties import Result


class POSE2MESH_OT_queue_clear(bpy.types.Operator):
    """Empty the queue; results stay"""

    bl_idname = "pose2mesh.queue_clear"
    bl_label = "Clear Queue"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_idle(cls)

    def execute(self, context: bpy.types.Context) -> Result:
        queue.items(context.window_manager).clear()
        jobs.last_message = ("", "")
        return {"FINISHED"}
