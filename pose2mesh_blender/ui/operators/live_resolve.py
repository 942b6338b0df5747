"""pose2mesh.live_resolve: the mesh follows a marker while it is dragged."""
from __future__ import annotations

import bpy

from .. import keypoints, live
from ..properties import Result


class POSE2MESH_OT_live_resolve(bpy.types.Operator):
    """Let the mesh follow markers while they are dragged"""

    bl_idname = "pose2mesh.live_resolve"
    bl_label = "Live Re-solve"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return live.is_on() or keypoints.poll_target(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        live.switch(not live.is_on())
        return {"FINISHED"}
