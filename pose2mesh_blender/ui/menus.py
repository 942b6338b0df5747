"""Entries in File > Import and File > Export."""
from __future__ import annotations

from typing import Any

import bpy


def draw_import(self: Any, context: Any) -> None:
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator("pose2mesh.open_footage", text="Footage of People (Pose2Mesh)")
    self.layout.operator("pose2mesh.import_folder", text="Folder of Footage (Pose2Mesh)")


def draw_export(self: Any, context: Any) -> None:
    self.layout.operator_context = "INVOKE_DEFAULT"
    self.layout.operator("pose2mesh.export_fbx", text="Pose2Mesh People (.fbx)")
    self.layout.operator("pose2mesh.export_model", text="Pose2Mesh People (.glb/.usdc/.abc)")


def add() -> None:
    bpy.types.TOPBAR_MT_file_import.append(draw_import)  # type: ignore[arg-type]
    bpy.types.TOPBAR_MT_file_export.append(draw_export)  # type: ignore[arg-type]


def remove() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(draw_import)  # type: ignore[arg-type]
    bpy.types.TOPBAR_MT_file_export.remove(draw_export)  # type: ignore[arg-type]
