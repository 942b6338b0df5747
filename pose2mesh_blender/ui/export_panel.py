"""Export: people to files of other programs."""
from __future__ import annotations

import bpy

from .panel import SubPanel


class POSE2MESH_PT_export(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_export"
    bl_label = "Export"
    bl_order = 7

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.operator("pose2mesh.export_fbx", text="Export FBX...", icon="EXPORT")
        self.layout.operator("pose2mesh.export_model", text="Export glTF, USD, Alembic...")


CLASSES = (POSE2MESH_PT_export,)
