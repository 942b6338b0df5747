"""The Pose2Mesh tab in the 3D viewport's sidebar."""
from __future__ import annotations

import textwrap

import bpy

from ..scene import material, takes
from . import jobs
from .people import active_take, chosen_people
from .properties import settings_of


class POSE2MESH_PT_footage(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_idname = "POSE2MESH_PT_footage"
    bl_label = "Footage"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.prop(settings, "footage", text="")
        job = jobs.current
        if job:
            layout.progress(factor=job.fraction, text=job.text, type="BAR")
            layout.operator("pose2mesh.cancel", text="Stop at Once" if job.stopping else "Stop", icon="CANCEL")
        else:
            row = layout.row()
            row.scale_y = 1.6
            row.operator("pose2mesh.animate", icon="PLAY")
            layout.operator("pose2mesh.import_folder", text="Import Folder...", icon="FILE_FOLDER")
        level, text = jobs.last_message
        if level == "ERROR":
            column = layout.column(align=True)
            column.alert = True
            for i, line in enumerate(textwrap.wrap(text, max(20, int(context.region.width / 8)))):
                column.label(text=line, icon="ERROR" if i == 0 else "BLANK1")


class POSE2MESH_PT_options(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_idname = "POSE2MESH_PT_options"
    bl_parent_id = "POSE2MESH_PT_footage"
    bl_label = "Options"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "preset")
        layout.prop(settings, "people")
        column = layout.column(align=True)
        column.prop(settings, "start")
        column.prop(settings, "end", text="Last")
        column.prop(settings, "step")
        layout.prop(settings, "smooth")
        layout.prop(settings, "height")
        layout.prop(settings, "fov")
        layout.prop(settings, "match_scene")


class POSE2MESH_PT_mesh(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_idname = "POSE2MESH_PT_mesh"
    bl_label = "Mesh & Texture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        take, people = active_take(context), chosen_people(context)
        if not take or not people:
            layout.label(text="Nothing animated yet")
            layout.prop(settings, "texture")
            return
        layout.label(text=take.name, icon="OUTLINER_COLLECTION")
        if not takes.scene_matches(context.scene, take):
            render = context.scene.render
            layout.label(text=f"Scene {render.fps / render.fps_base:.4g} fps, footage {take[takes.FPS]:.4g} fps")
            layout.operator("pose2mesh.match_scene", icon="SCENE_DATA")
        node = material.texture_node(people[0].active_material)
        image = node.image if node else None
        layout.label(text=image.name if image else "No texture", icon="TEXTURE")
        layout.operator("pose2mesh.set_texture", text="Choose Texture...", icon="FILE_IMAGE")
        relative = people[0].data.shape_keys.use_relative
        row = layout.row(align=True)
        row.operator("pose2mesh.convert_keys", text="Absolute", depress=not relative).relative = False
        row.operator("pose2mesh.convert_keys", text="Relative", depress=relative).relative = True


class POSE2MESH_PT_export(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_idname = "POSE2MESH_PT_export"
    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.operator("pose2mesh.export_fbx", text="Export FBX...", icon="EXPORT")
        self.layout.operator("pose2mesh.export_model", text="Export glTF, USD, Alembic...")


CLASSES = (POSE2MESH_PT_footage, POSE2MESH_PT_options, POSE2MESH_PT_mesh, POSE2MESH_PT_export)
