"""pose2mesh.match_scene: the scene takes over the footage's rate, size, range and camera."""
from __future__ import annotations

import bpy

from ...scene import takes
from ..people import active_take
from ..properties import Result
from ..text import say


class POSE2MESH_OT_match_scene(bpy.types.Operator):
    """Give the scene the footage's frame rate, picture size, frame range and camera"""

    bl_idname = "pose2mesh.match_scene"
    bl_label = "Match Scene to Footage"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        take = active_take(context)
        if take is None or takes.take_camera(take) is None:
            cls.poll_message_set(say("Animate footage first"))
            return False
        if takes.scene_matches(context.scene, take):
            cls.poll_message_set(say("The scene matches already"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        take = active_take(context)
        takes.match_scene_to_take(context.scene, take)
        self.report({"INFO"}, say("The scene now has {:.4g} frames per second, frames {} to {}", take[takes.FPS],
                                  context.scene.frame_start, context.scene.frame_end))
        return {"FINISHED"}
