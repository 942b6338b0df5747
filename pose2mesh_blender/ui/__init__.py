"""What the user sees in Blender: operators, panels, properties, preferences, menus, dropping files."""
from __future__ import annotations

import bpy

from . import drop, jobs, menus, panels, preferences, properties
from .operators import (
    animate,
    cancel,
    clear_cache,
    convert_keys,
    export_fbx,
    export_model,
    import_folder,
    match_scene,
    open_footage,
    set_texture,
)

CLASSES = (
    properties.Pose2MeshSettings,
    preferences.Pose2MeshPreferences,
    animate.POSE2MESH_OT_animate,
    cancel.POSE2MESH_OT_cancel,
    clear_cache.POSE2MESH_OT_clear_cache,
    convert_keys.POSE2MESH_OT_convert_keys,
    export_fbx.POSE2MESH_OT_export_fbx,
    export_model.POSE2MESH_OT_export_model,
    import_folder.POSE2MESH_OT_import_folder,
    match_scene.POSE2MESH_OT_match_scene,
    open_footage.POSE2MESH_OT_open_footage,
    set_texture.POSE2MESH_OT_set_texture,
    *panels.CLASSES,
    drop.POSE2MESH_FH_footage,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.pose2mesh = bpy.props.PointerProperty(  # type: ignore
        type=properties.Pose2MeshSettings)
    menus.add()


def unregister() -> None:
    jobs.shut_down()
    menus.remove()
    del bpy.types.Scene.pose2mesh  # type: ignore[attr-defined]
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
