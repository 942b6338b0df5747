"""What the user sees in Blender: operators, panels, properties, preferences, menus, dropping files."""
from __future__ import annotations

import bpy

from . import (
    detect_panel,
    drop,
    export_panel,
    export_properties,
    footage_panel,
    handlers,
    icons,
    jobs,
    keypoint_properties,
    keypoints,
    keypoints_panel,
    languages,
    live,
    menus,
    mesh_panel,
    overlay,
    panel,
    people_panel,
    person_properties,
    preferences,
    presets,
    properties,
    queue,
    queue_panel,
    smoothing,
    solve_panel,
)
from .operators import (
    align_floor,
    animate,
    bake_cache,
    bake_rig,
    cancel,
    clear_cache,
    convert_keys,
    discard_corrections,
    edit_keypoints,
    export_people,
    ground_from_feet,
    height_reset,
    import_folder,
    import_footage,
    interpolate_occluded,
    live_resolve,
    mark_asset,
    match_scene,
    open_footage,
    pause,
    person_delete,
    person_merge,
    person_split,
    propagate,
    queue_clear,
    queue_remove,
    queue_retry,
    redetect,
    resolve,
    set_texture,
    solve_again,
    solved_camera,
    swap_sides,
    test_devices,
    transfer_rig,
)

CLASSES = (
    properties.Pose2MeshSettings,
    *person_properties.CLASSES,
    *keypoint_properties.CLASSES,
    *export_properties.CLASSES,
    *queue.CLASSES,
    preferences.Pose2MeshPreferences,
    align_floor.POSE2MESH_OT_align_floor,
    animate.POSE2MESH_OT_animate,
    bake_cache.POSE2MESH_OT_bake_cache,
    bake_rig.POSE2MESH_OT_bake_rig,
    cancel.POSE2MESH_OT_cancel,
    clear_cache.POSE2MESH_OT_clear_cache,
    convert_keys.POSE2MESH_OT_convert_keys,
    discard_corrections.POSE2MESH_OT_discard_corrections,
    edit_keypoints.POSE2MESH_OT_edit_keypoints,
    export_people.POSE2MESH_OT_export_people,
    ground_from_feet.POSE2MESH_OT_ground_from_feet,
    height_reset.POSE2MESH_OT_height_reset,
    import_folder.POSE2MESH_OT_import_folder,
    import_footage.POSE2MESH_OT_import_footage,
    interpolate_occluded.POSE2MESH_OT_interpolate_occluded,
    live_resolve.POSE2MESH_OT_live_resolve,
    mark_asset.POSE2MESH_OT_mark_asset,
    match_scene.POSE2MESH_OT_match_scene,
    open_footage.POSE2MESH_OT_open_footage,
    pause.POSE2MESH_OT_pause,
    person_delete.POSE2MESH_OT_person_delete,
    person_merge.POSE2MESH_OT_person_merge,
    person_split.POSE2MESH_OT_person_split,
    propagate.POSE2MESH_OT_propagate,
    queue_clear.POSE2MESH_OT_queue_clear,
    queue_remove.POSE2MESH_OT_queue_remove,
    queue_retry.POSE2MESH_OT_queue_retry,
    redetect.POSE2MESH_OT_redetect,
    resolve.POSE2MESH_OT_resolve,
    set_texture.POSE2MESH_OT_set_texture,
    solve_again.POSE2MESH_OT_solve_again,
    solved_camera.POSE2MESH_OT_solved_camera,
    swap_sides.POSE2MESH_OT_swap_sides,
    test_devices.POSE2MESH_OT_test_devices,
    transfer_rig.POSE2MESH_OT_transfer_rig,
    *presets.CLASSES,
    *panel.CLASSES,
    *queue_panel.CLASSES,
    *footage_panel.CLASSES,
    *detect_panel.CLASSES,
    *people_panel.CLASSES,
    *keypoints_panel.CLASSES,
    *solve_panel.CLASSES,
    *mesh_panel.CLASSES,
    *export_panel.CLASSES,
    drop.POSE2MESH_FH_footage,
)
# What else is added to Blender, in this order, and removed in the other.
PARTS = (languages, icons, person_properties, keypoint_properties, export_properties, queue, overlay, menus, handlers)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.pose2mesh = bpy.props.PointerProperty(  # type: ignore
        type=properties.Pose2MeshSettings)
    for part in PARTS:
        part.add()


def unregister() -> None:
    live.switch(False)
    smoothing.forget()
    jobs.shut_down()
    keypoints.forget()
    for part in reversed(PARTS):
        part.remove()
    del bpy.types.Scene.pose2mesh  # type: ignore[attr-defined]
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
