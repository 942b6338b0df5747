"""Detect: how people are found in the footage."""
from __future__ import annotations

import bpy

from .panel import SubPanel
from .properties import settings_of


class POSE2MESH_PT_detect(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_detect"
    bl_label = "Detect"
    bl_order = 2

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, settings_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "preset")
        layout.prop(settings, "people")


CLASSES = (POSE2MESH_PT_detect,)
