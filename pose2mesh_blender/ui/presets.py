"""Presets of the solve settings. Those of an export are in its file browser, as with Blender's own exporters."""
from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel


class POSE2MESH_OT_solve_preset(AddPresetBase, bpy.types.Operator):
    """Keep these settings as a preset, or remove one"""

    bl_idname = "pose2mesh.solve_preset"
    bl_label = "Solve Preset"
    preset_menu = "POSE2MESH_PT_solve_presets"
    preset_subdir = "pose2mesh/solve"
    preset_defines = ["settings = bpy.context.scene.pose2mesh"]
    preset_values = [f"settings.{name}" for name in ("preset", "people", "smooth", "feet", "height", "lens", "fov")]


class POSE2MESH_PT_solve_presets(PresetPanel, bpy.types.Panel):
    bl_label = "Solve Presets"
    preset_subdir = "pose2mesh/solve"
    preset_operator = "script.execute_preset"
    preset_add_operator = "pose2mesh.solve_preset"


CLASSES = (POSE2MESH_OT_solve_preset, POSE2MESH_PT_solve_presets)
