"""People: who is in the take, and what each of them is like."""
from __future__ import annotations

from typing import Any

import bpy

from ..scene import ground, takes
from . import icons
from .panel import SubPanel
from .people import active_person, active_take
from .person_properties import person
from .properties import settings_of


class POSE2MESH_UL_people(bpy.types.UIList):
    bl_idname = "POSE2MESH_UL_people"

    def draw_item(self, context: Any, layout: Any, data: Any, item: Any, icon: Any, active_data: Any,
                  active_property: Any, index: Any = 0, flt_flag: Any = 0) -> None:
        here = person(item)
        row = layout.row(align=True)
        colour = row.row()
        colour.ui_units_x = 1
        colour.prop(item, "color", text="")
        row.prop(here, "title", text="", emboss=False, icon_value=icons.value("person"))
        row.prop(here, "solve", text="", emboss=False, icon="CHECKBOX_HLT" if here.solve else "CHECKBOX_DEHLT")
        row.prop(here, "show", text="", emboss=False, icon="HIDE_OFF" if here.show else "HIDE_ON")

    def filter_items(self, context: Any, data: Any, property: Any) -> Any:
        wanted = self.filter_name.lower()
        flags = [self.bitflag_filter_item if takes.is_person(ob) and wanted in ob.name.lower() else 0
                 for ob in getattr(data, property)]
        return flags, []


class POSE2MESH_PT_people(SubPanel, bpy.types.Panel):
    bl_idname = "POSE2MESH_PT_people"
    bl_label = "People"
    bl_order = 3

    def draw(self, context: bpy.types.Context) -> None:
        layout, take = self.layout, active_take(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        if take is None:
            layout.label(text="Animate footage first")
            return
        layout.label(text=take.name, icon="OUTLINER_COLLECTION", translate=False)
        row = layout.row()
        row.template_list("POSE2MESH_UL_people", "", take, "objects", settings_of(context.scene), "person_index",
                          rows=3)
        column = row.column(align=True)
        column.operator("pose2mesh.person_delete", icon="REMOVE", text="")
        row = layout.row(align=True)
        row.operator("pose2mesh.person_merge", text="Merge")
        row.operator("pose2mesh.person_split", text="Split at Frame")
        ob = active_person(context)
        if ob is None:
            layout.label(text="Select a person to set its height")
            return
        row = layout.row(align=True)
        row.prop(person(ob), "height", text="Height (cm)")
        row.operator("pose2mesh.height_reset", text="", icon="LOOP_BACK")
        layout.prop(person(ob), "lock_shape")
        layout.prop(person(ob), "smooth", slider=True)
        if ground.is_moving(take):
            layout.label(text="In the solved camera's world", icon="CON_CAMERASOLVER")


CLASSES = (POSE2MESH_UL_people, POSE2MESH_PT_people)
