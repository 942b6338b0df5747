"""pose2mesh.export_model: people to glTF, USD or Alembic."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..people import ExportPeople
from ..properties import Result


class POSE2MESH_OT_export_model(ExportPeople, bpy.types.Operator):
    """Write people to a glTF, USD or Alembic file"""

    bl_idname = "pose2mesh.export_model"
    bl_label = "Export Model"

    filename_ext: EnumProperty(
        name="Format", items=((".glb", "glTF (.glb)", "Shape keys, texture inside"),
                              (".usdc", "USD (.usdc)", "Moving points, texture beside"),
                              (".abc", "Alembic (.abc)", "Moving points, no texture")))
    filter_glob: StringProperty(default="*.glb;*.usdc;*.abc", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> Result:
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower() not in (".glb", ".usdc", ".abc"):
            path = path.with_name(path.name + self.filename_ext)
        return self.write(context, path)
