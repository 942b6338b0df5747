"""pose2mesh.bake_rig: an armature and a skinned mesh beside each person."""
from __future__ import annotations

import bpy

from ...core.errors import ExportError
from ...core.presets import DEFAULT, PRESETS
from ...scene import rig
from ...scene.staging import frame_range
from ..export_properties import export_of
from ..people import chosen_people, poll_people
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_bake_rig(bpy.types.Operator):
    """Add an armature with the motion, and a mesh that it deforms, beside each person; the people stay as they are"""

    bl_idname = "pose2mesh.bake_rig"
    bl_label = "Bake to Armature"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        settings = export_of(context.scene)
        preset = PRESETS[settings.preset]
        preset = preset if preset.kind == "skinned" else PRESETS[DEFAULT]
        try:
            for ob in chosen_people(context):
                frames = rig.frames_of(*frame_range([ob], context.scene), settings.options())
                made = rig.bake(ob, preset, settings.options(), frames)
                self.report({"INFO"}, say("{}: on average {:.1f} mm from the mesh", made.name, made[rig.ERROR]))
        except ExportError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        return {"FINISHED"}
