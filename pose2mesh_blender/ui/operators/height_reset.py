"""pose2mesh.height_reset: the height that the footage suggests."""
from __future__ import annotations

import bpy

from ...scene import ground
from ..people import active_person, poll_person
from ..properties import Result
from ..text import say


class POSE2MESH_OT_height_reset(bpy.types.Operator):
    """Give the person the height again that was estimated from the footage"""

    bl_idname = "pose2mesh.height_reset"
    bl_label = "Estimated Height"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_person(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        ob = active_person(context)
        ground.set_height(ob, None)
        self.report({"INFO"}, say("{} is {:.0f} cm tall", ob.name, 100 * ground.height_of(ob)))
        return {"FINISHED"}
