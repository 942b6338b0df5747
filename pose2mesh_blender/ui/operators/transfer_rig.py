"""pose2mesh.transfer_rig: a person's motion on the user's own armature."""
from __future__ import annotations

import bpy

from ...core.errors import ExportError
from ...scene import retarget, rig
from ...scene.staging import frame_range
from ..export_properties import export_of
from ..people import active_person, poll_person
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_transfer_rig(bpy.types.Operator):
    """Give your armature a new action with the person's motion"""

    bl_idname = "pose2mesh.transfer_rig"
    bl_label = "Transfer to Rig"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_person(cls, context):
            return False
        if export_of(context.scene).armature is None:
            cls.poll_message_set(say("Choose your character's armature first"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        settings, ob = export_of(context.scene), active_person(context)
        bones = {pair.name: pair.bone for pair in settings.bones if pair.bone}
        try:
            frames = rig.frames_of(*frame_range([ob], context.scene), settings.options())
            retarget.transfer(ob, settings.armature, bones, frames)
        except ExportError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        self.report({"INFO"}, say("{} bones of {} follow {}", len(bones), settings.armature.name, ob.name))
        return {"FINISHED"}
