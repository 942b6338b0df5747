"""pose2mesh.export_fbx: people to an FBX file."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ..people import ExportPeople
from ..properties import Result


class POSE2MESH_OT_export_fbx(ExportPeople, bpy.types.Operator):
    """Write people with their shape keys, motion and texture to an FBX file for games and other programs"""

    bl_idname = "pose2mesh.export_fbx"
    bl_label = "Export FBX"

    filename_ext = ".fbx"
    filter_glob: StringProperty(default="*.fbx", options={"HIDDEN"})

    def execute(self, context: bpy.types.Context) -> Result:
        return self.write(context, Path(bpy.path.abspath(bpy.path.ensure_ext(self.filepath, ".fbx"))))
