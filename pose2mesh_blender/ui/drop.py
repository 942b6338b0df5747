"""Dropping footage on the 3D viewport and the Movie Clip Editor. Blender hands over files only, no folders."""
from __future__ import annotations

import bpy

SUFFIXES = bpy.path.extensions_movie | bpy.path.extensions_image  # type: ignore[attr-defined]


class POSE2MESH_FH_footage(bpy.types.FileHandler):
    bl_idname = "POSE2MESH_FH_footage"
    bl_label = "Footage of People (Pose2Mesh)"
    bl_import_operator = "pose2mesh.open_footage"
    bl_file_extensions = ";".join(sorted(SUFFIXES))

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return bool(context.area) and context.area.type in ("VIEW_3D", "CLIP_EDITOR")
