"""Export: people to files of other programs, as armatures here, and onto the user's own character."""
from __future__ import annotations

import bpy

from ..core.presets import PRESETS
from ..scene.export_people import heavy
from .export_properties import export_of
from .panel import Sidebar, SubPanel
from .people import chosen_people
from .text import say


class POSE2MESH_PT_export(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_export"
    bl_label = "Export"
    bl_order = 7

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, export_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        kind = PRESETS[settings.preset].kind
        layout.prop(settings, "preset")
        layout.prop(settings, "format")
        if kind == "skinned":
            layout.prop(settings, "in_place")
        if kind == "compact":
            layout.prop(settings, "budget")
            layout.prop(settings, "largest")
        if size := heavy(settings.format, chosen_people(context), PRESETS[settings.preset]):
            layout.label(text=say("Up to {:.0f} MB", size / 1e6), icon="INFO")
        row = layout.row()
        row.scale_y = 1.3
        row.operator("pose2mesh.export_people", text="Export...", icon="EXPORT")


class POSE2MESH_PT_export_options(Sidebar, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_export_options"
    bl_parent_id = "POSE2MESH_PT_export"
    bl_label = "Options"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, export_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        kind = PRESETS[settings.preset].kind
        if kind != "exact":
            layout.prop(settings, "use_range")
            column = layout.column(align=True)
            column.active = settings.use_range
            column.prop(settings, "first")
            column.prop(settings, "last")
            layout.prop(settings, "step")
        if kind == "skinned":
            layout.prop(settings, "simplify")
            layout.prop(settings, "correctives")
        if PRESETS[settings.preset].shares(settings.format):
            layout.prop(settings, "together")


class POSE2MESH_PT_rig(Sidebar, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_rig"
    bl_parent_id = "POSE2MESH_PT_export"
    bl_label = "Armatures"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, export_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.operator("pose2mesh.bake_rig", icon="ARMATURE_DATA")
        layout.prop(settings, "armature")
        layout.operator("pose2mesh.transfer_rig", icon="POSE_HLT")
        if settings.armature:
            column = layout.column(align=True)
            for pair in settings.bones:
                column.prop_search(pair, "bone", settings.armature.data, "bones",
                                   text=pair.name.replace("_", " ").title())


CLASSES = (POSE2MESH_PT_export, POSE2MESH_PT_export_options, POSE2MESH_PT_rig)
