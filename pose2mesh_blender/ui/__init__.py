"""What the user sees in Blender: operators, panels, properties, preferences, menus, dropping files."""
from __future__ import annotations

import bpy

from . import (
    drop,
    jobs,
    keypoint_properties,
    keypoints,
    keypoints_panel,
    live,
    menus,
    overlay,
    panels,
    preferences,
    properties,
)
from .operators import (
    animate,
    cancel,
    clear_cache,
    convert_keys,
    discard_corrections,
    edit_keypoints,
    export_fbx,
    export_model,
    import_folder,
    interpolate_occluded,
    live_resolve,
    match_scene,
    open_footage,
    propagate,
    redetect,
    resolve,
    set_texture,
    swap_sides,
)

CLASSES = (
    properties.Pose2MeshSettings,
    *keypoint_properties.CLASSES,
    preferences.Pose2MeshPreferences,
    animate.POSE2MESH_OT_animate,
    cancel.POSE2MESH_OT_cancel,
    clear_cache.POSE2MESH_OT_clear_cache,
    convert_keys.POSE2MESH_OT_convert_keys,
    discard_corrections.POSE2MESH_OT_discard_corrections,
    edit_keypoints.POSE2MESH_OT_edit_keypoints,
    export_fbx.POSE2MESH_OT_export_fbx,
    export_model.POSE2MESH_OT_export_model,
    import_folder.POSE2MESH_OT_import_folder,
    interpolate_occluded.POSE2MESH_OT_interpolate_occluded,
    live_resolve.POSE2MESH_OT_live_resolve,
    match_scene.POSE2MESH_OT_match_scene,
    open_footage.POSE2MESH_OT_open_footage,
    propagate.POSE2MESH_OT_propagate,
    redetect.POSE2MESH_OT_redetect,
    resolve.POSE2MESH_OT_resolve,
    set_texture.POSE2MESH_OT_set_texture,
    swap_sides.POSE2MESH_OT_swap_sides,
    *panels.CLASSES,
    *keypoints_panel.CLASSES,
    drop.POSE2MESH_FH_footage,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.pose2mesh = bpy.props.PointerProperty(  # type: ignore
        type=properties.Pose2MeshSettings)
    keypoint_properties.add()
    overlay.add()
    menus.add()


def unregister() -> None:
    live.switch(False)
    jobs.shut_down()
    overlay.remove()
    keypoints.forget()
    menus.remove()
    keypoint_properties.remove()
    del bpy.types.Scene.pose2mesh  # type: ignore[attr-defined]
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
