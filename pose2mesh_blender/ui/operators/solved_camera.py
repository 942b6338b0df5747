"""pose2mesh.solved_camera: the people in the world of the clip's own reconstruction."""
from __future__ import annotations

import bpy

from ...core.errors import Pose2MeshError
from ...scene import ground, placing, takes
from ..people import active_take, poll_idle, poll_take
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_solved_camera(bpy.types.Operator):
    """Let the camera move as Blender has solved it in the Movie Clip Editor, and the people walk in its world; press again to let it stand still"""  # noqa: E501

    bl_idname = "pose2mesh.solved_camera"
    bl_label = "Use Solved Camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not (poll_idle(cls) and poll_take(cls, context)):
            return False
        take = active_take(context)
        if not ground.is_moving(take) and not placing.has_reconstruction(takes.clip_of(take)):
            cls.poll_message_set(say("Solve the camera motion in the Movie Clip Editor first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        take = active_take(context)
        moving = not ground.is_moving(take)
        try:
            ground.use_solved_camera(take, moving)
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        self.report({"INFO"}, say("The camera moves as it was solved") if moving else say("The camera stands still"))
        return {"FINISHED"}
