"""Mesh and texture: the skin, and how the poses are stored."""
from __future__ import annotations

import bpy

from ..scene import compact, material, storage
from .panel import SubPanel
from .people import chosen_people
from .properties import settings_of
from .text import label

STORAGES = ((storage.ABSOLUTE, "Absolute"), (storage.RELATIVE, "Relative"), (storage.COMPACT, "Compact"))


class POSE2MESH_PT_mesh(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_mesh"
    bl_label = "Mesh and Texture"
    bl_order = 6

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings, people = self.layout, settings_of(context.scene), chosen_people(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "texture")
        if not people:
            layout.label(text="Nothing animated yet")
            return
        node = material.texture_node(people[0].active_material)
        image = node.image if node else None
        layout.label(text=image.name if image else label("No texture"), icon="TEXTURE", translate=False)
        layout.operator("pose2mesh.set_texture", text="Choose Texture...", icon="FILE_IMAGE")
        layout.separator()
        layout.label(text="Shape Keys")
        now, row = storage.storage_of(people[0]), layout.row(align=True)
        for kind, name in STORAGES:
            row.operator("pose2mesh.convert_keys", text=name, depress=now == kind).storage = kind
        layout.prop(settings, "movements")
        if now == storage.COMPACT:
            layout.label(text=label("Up to {:.2f} mm off", max(map(compact.error_of, people))), translate=False)
        layout.operator("pose2mesh.bake_cache", icon="FILE_CACHE")
        layout.operator("pose2mesh.mark_asset", icon="ASSET_MANAGER")


CLASSES = (POSE2MESH_PT_mesh,)
