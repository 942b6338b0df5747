"""pose2mesh.ground_from_feet: the ground where the feet stand."""
from __future__ import annotations

import bpy

from ...scene import ground
from ..people import active_take, poll_take
from ..person_properties import take_settings
from ..properties import Result
from ..text import say


class POSE2MESH_OT_ground_from_feet(bpy.types.Operator):
    """Put the ground at z 0 again, level, where the feet of the people have stood"""

    bl_idname = "pose2mesh.ground_from_feet"
    bl_label = "Ground from Feet"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_take(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        take = active_take(context)
        ground.align(take, None)
        settings = take_settings(take)
        settings.offset, settings.tilt = 0.0, (0.0, 0.0, 0.0)
        self.report({"INFO"}, say("The feet stand at z 0"))
        return {"FINISHED"}
