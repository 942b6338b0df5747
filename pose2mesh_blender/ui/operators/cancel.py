"""pose2mesh.cancel: stop the work that runs, as Esc does."""
from __future__ import annotations

import bpy

from .. import jobs
from ..properties import Result
from ..text import say


class POSE2MESH_OT_cancel(bpy.types.Operator):
    """Stop, and keep the frames that are finished"""

    bl_idname = "pose2mesh.cancel"
    bl_label = "Stop"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current is None:
            cls.poll_message_set(say("Nothing is running"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        jobs.current.stop()
        return {"FINISHED"}
