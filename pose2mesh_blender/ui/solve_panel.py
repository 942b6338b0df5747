"""Solve: from keypoints to a body in the scene; camera and ground."""
from __future__ import annotations

import bpy

from ..scene import ground
from .panel import SubPanel
from .people import active_take
from .person_properties import take_settings
from .presets import POSE2MESH_PT_solve_presets
from .properties import settings_of


class POSE2MESH_PT_solve(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_solve"
    bl_label = "Solve"
    bl_order = 5

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        POSE2MESH_PT_solve_presets.draw_panel_header(self.layout)  # type: ignore[attr-defined]

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "smooth")
        layout.prop(settings, "feet")
        layout.prop(settings, "height")
        layout.prop(settings, "body")
        layout.operator("pose2mesh.solve_again", icon="FILE_REFRESH")


class POSE2MESH_PT_ground(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_ground"
    bl_parent_id = "POSE2MESH_PT_solve"
    bl_label = "Camera and Ground"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout, take = self.layout, active_take(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.operator("pose2mesh.solved_camera", icon="CON_CAMERASOLVER",
                        depress=bool(take) and ground.is_moving(take))
        row = layout.row(align=True)
        row.operator("pose2mesh.ground_from_feet", text="From Feet")
        row.operator("pose2mesh.align_floor", text="Align to Floor")
        if take:
            layout.prop(take_settings(take), "offset")
            layout.prop(take_settings(take), "tilt")


CLASSES = (POSE2MESH_PT_solve, POSE2MESH_PT_ground)
