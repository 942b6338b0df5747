"""pose2mesh.queue_remove: one file out of the queue."""
from __future__ import annotations

import bpy

from .. import queue
from ..properties import Result
from ..text import say


class POSE2MESH_OT_queue_remove(bpy.types.Operator):
    """Take the chosen footage out of the queue; its result stays"""

    bl_idname = "pose2mesh.queue_remove"
    bl_label = "Remove from Queue"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = queue.active(context.window_manager)
        if item is None:
            cls.poll_message_set(say("Choose a file of the queue"))
            return False
        if item.state in ("running", "paused"):
            cls.poll_message_set(say("This file is being animated. Stop it first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        queue.drop(context.window_manager)
        return {"FINISHED"}
