"""pose2mesh.set_texture: another image on people's skin."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...core.errors import ExportError
from ...scene import material
from ..people import chosen_people, poll_people
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_set_texture(bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Show an image in SMPL's UV layout on the selected people, or on all of the take"""

    bl_idname = "pose2mesh.set_texture"
    bl_label = "Choose Texture"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        path = Path(bpy.path.abspath(self.filepath))
        try:
            for ob in people:
                if ob.active_material is None:
                    ob.active_material = material.new_material(ob.name, None)
                material.set_texture(ob.active_material, path)
        except ExportError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        self.report({"INFO"}, say("{} is on {} meshes", path.name, len(people)))
        return {"FINISHED"}
