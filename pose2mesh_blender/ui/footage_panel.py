"""Footage: which frames, whose lens, and the scene that plays it."""
from __future__ import annotations

import bpy

from ..scene import takes
from .panel import SubPanel
from .people import active_take
from .properties import of_keypoints, settings_of
from .text import label


class POSE2MESH_PT_footage(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_footage"
    bl_label = "Footage"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        row = layout.row(align=True)
        row.operator("pose2mesh.open_footage", text="Choose...", icon="FILE_MOVIE")
        row.operator("pose2mesh.import_folder", text="Import Folder...", icon="FILE_FOLDER")
        column = layout.column(align=True)
        column.prop(settings, "start")
        column.prop(settings, "end", text="Last")
        column.prop(settings, "step")
        layout.prop(settings, "lens")
        row = layout.row()
        row.enabled = settings.lens == "FOV"
        row.prop(settings, "fov")
        if of_keypoints(settings):
            column = layout.column(heading="Keypoint File")
            column.prop(settings, "image_size")
            column.prop(settings, "image_rate")
            column.prop(settings, "video")
        layout.prop(settings, "match_scene", text="Match Scene")
        take = active_take(context)
        if take and not takes.scene_matches(context.scene, take):
            render = context.scene.render
            layout.label(text=label("Scene {:.4g} fps, footage {:.4g} fps", render.fps / render.fps_base,
                                    take[takes.FPS]), translate=False)
        layout.operator("pose2mesh.match_scene", icon="SCENE_DATA")


CLASSES = (POSE2MESH_PT_footage,)
