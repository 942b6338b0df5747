"""Dropping a video on the 3D viewport."""
from __future__ import annotations

import bpy


class POSE2MESH_FH_footage(bpy.types.FileHandler):
    bl_idname = "POSE2MESH_FH_footage"
    bl_label = "Footage of People (Pose2Mesh)"
    bl_import_operator = "pose2mesh.open_footage"
    bl_file_extensions = ";".join(sorted(bpy.path.extensions_movie))  # type: ignore[attr-defined]

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return bool(context.area) and context.area.type == "VIEW_3D"
