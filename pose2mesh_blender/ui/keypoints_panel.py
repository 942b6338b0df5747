"""Keypoints: the sub-panel of our tab, in the 3D viewport and in the Movie Clip Editor."""
from __future__ import annotations

import bpy

from ..scene import corrected, takes, tracks
from . import jobs, live
from .keypoint_properties import keypoint_settings, person_settings
from .keypoints import target
from .text import wrapped


def draw_keypoints(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Whose keypoints these are, and how edits reach the mesh."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    tracked = target(context)
    if tracked is None:
        column = layout.column(align=True)
        column.label(text="Animate a video first.", icon="INFO")
        column.label(text="Its keypoints can then be corrected.", icon="BLANK1")
        return
    layout.label(text=tracked.name, icon="TRACKER")
    if context.area.type != "CLIP_EDITOR":
        layout.operator("pose2mesh.edit_keypoints", icon="TRACKING")
    row = layout.row(align=True)
    row.operator("pose2mesh.live_resolve", icon="PLAY", depress=live.is_on())
    column = layout.column(align=True)
    column.enabled = not live.is_on()
    column.operator("pose2mesh.resolve", icon="FILE_REFRESH").everything = False
    column.operator("pose2mesh.resolve", text="Re-solve All Frames").everything = True
    if live.is_on() and live.message:
        wrapped(layout, live.message, context.region.width, alert=True, icon="ERROR")
    job = jobs.current
    if job and context.area.type == "CLIP_EDITOR":  # the viewport's panel shows it at its top
        layout.progress(factor=job.fraction, text=job.text, type="BAR")
        layout.operator("pose2mesh.cancel", icon="CANCEL")


def draw_many(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Tools that work on many markers."""
    settings = keypoint_settings(context.scene)
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column(align=True)
    column.prop(settings, "before")
    column.prop(settings, "after")
    layout.prop(settings, "falloff")
    layout.operator("pose2mesh.propagate", icon="SMOOTHCURVE")
    layout.separator()
    layout.prop(settings, "extent")
    if settings.extent == "RANGE":
        column = layout.column(align=True)
        column.prop(settings, "first")
        column.prop(settings, "last")
    layout.prop(settings, "longest")
    column = layout.column(align=True)
    column.operator("pose2mesh.interpolate_occluded", icon="IPO_EASE_IN_OUT")
    column.operator("pose2mesh.swap_sides", icon="MOD_MIRROR")
    column.operator("pose2mesh.redetect", icon="VIEWZOOM")
    column.operator("pose2mesh.discard_corrections", icon="LOOP_BACK")


def draw_skeletons(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What is drawn over the footage."""
    settings = keypoint_settings(context.scene)
    layout.use_property_split = True
    layout.use_property_decorate = False
    column = layout.column(heading="Show", align=True)
    column.prop(settings, "overlay_clip")
    column.prop(settings, "overlay_camera")
    tracked = target(context)
    if tracked is None:
        return
    people = [(t, ob) for t in tracks.tracked_in(tracked.clip)
              for collection, ob in corrected.people_showing(t.folder, t.person)
              if collection in takes.takes_in(context.scene)]
    column = layout.column(heading="People", align=True)
    for person, ob in people:
        column.prop(person_settings(ob), "overlay", text=person.name)
    layout.label(text="Left is dashed, right is solid")
    layout.label(text="Thin and hollow is uncertain, square is yours")


class POSE2MESH_PT_keypoints(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_label = "Keypoints"
    bl_idname = "POSE2MESH_PT_keypoints"
    bl_parent_id = "POSE2MESH_PT_main"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 4

    def draw(self, context: bpy.types.Context) -> None:
        draw_keypoints(self.layout, context)


class POSE2MESH_PT_keypoints_many(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_label = "Correct Many"
    bl_options = {"DEFAULT_CLOSED"}
    bl_idname = "POSE2MESH_PT_keypoints_many"
    bl_parent_id = "POSE2MESH_PT_keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        draw_many(self.layout, context)


class POSE2MESH_PT_keypoints_skeletons(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "VIEW_3D", "UI", "Pose2Mesh"
    bl_label = "Skeletons"
    bl_options = {"DEFAULT_CLOSED"}
    bl_idname = "POSE2MESH_PT_keypoints_skeletons"
    bl_parent_id = "POSE2MESH_PT_keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        draw_skeletons(self.layout, context)


class POSE2MESH_PT_clip_keypoints(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "CLIP_EDITOR", "UI", "Pose2Mesh"
    bl_label = "Keypoints"
    bl_idname = "POSE2MESH_PT_clip_keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        draw_keypoints(self.layout, context)


class POSE2MESH_PT_clip_keypoints_many(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "CLIP_EDITOR", "UI", "Pose2Mesh"
    bl_label = "Correct Many"
    bl_options = {"DEFAULT_CLOSED"}
    bl_idname = "POSE2MESH_PT_clip_keypoints_many"
    bl_parent_id = "POSE2MESH_PT_clip_keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        draw_many(self.layout, context)


class POSE2MESH_PT_clip_keypoints_skeletons(bpy.types.Panel):
    bl_space_type, bl_region_type, bl_category = "CLIP_EDITOR", "UI", "Pose2Mesh"
    bl_label = "Skeletons"
    bl_options = {"DEFAULT_CLOSED"}
    bl_idname = "POSE2MESH_PT_clip_keypoints_skeletons"
    bl_parent_id = "POSE2MESH_PT_clip_keypoints"

    def draw(self, context: bpy.types.Context) -> None:
        draw_skeletons(self.layout, context)


CLASSES = (POSE2MESH_PT_keypoints, POSE2MESH_PT_keypoints_many, POSE2MESH_PT_keypoints_skeletons,
           POSE2MESH_PT_clip_keypoints, POSE2MESH_PT_clip_keypoints_many, POSE2MESH_PT_clip_keypoints_skeletons)
