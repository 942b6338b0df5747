"""pose2mesh.pause: let the machine rest, and go on."""
from __future__ import annotations

import bpy

from .. import jobs
from ..properties import Result
from ..text import say


class POSE2MESH_OT_pause(bpy.types.Operator):
    """Pause the work, or go on exactly where it was"""

    bl_idname = "pose2mesh.pause"
    bl_label = "Pause"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current is None or not jobs.current.pausable:
            cls.poll_message_set(say("Nothing is running"))
            return False
        if jobs.current.stopping:
            cls.poll_message_set(say("It is stopping"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        job = jobs.current
        if job.paused:
            job.go_on()
        else:
            job.pause()
        return {"FINISHED"}
