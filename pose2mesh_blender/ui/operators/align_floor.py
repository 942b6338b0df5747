"""pose2mesh.align_floor: the people stand on an object."""
from __future__ import annotations

import bpy

from ...scene import ground, takes
from ..people import active_take, poll_take
from ..properties import Result
from ..text import say


class POSE2MESH_OT_align_floor(bpy.types.Operator):
    """Put the ground of the take on the active object: its origin, its z axis up. The object is not changed"""

    bl_idname = "pose2mesh.align_floor"
    bl_label = "Align to Floor"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_take(cls, context):
            return False
        ob = context.view_layer.objects.active
        if ob is None or ob.name in active_take(context).all_objects:
            cls.poll_message_set(say("Make an object active that is the floor, for example a plane"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        floor, take = context.view_layer.objects.active, active_take(context)
        ground.align(take, floor)
        self.report({"INFO"}, say("{} people stand on {}", len(takes.people_of(take)), floor.name))
        return {"FINISHED"}
