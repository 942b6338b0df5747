"""What the windows show: a new take, and redraws of what shows progress."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from ..scene import takes
from ..scene.fresh import look_through


def show(context: bpy.types.Context, collection: bpy.types.Collection, people: list[bpy.types.Object]) -> None:
    """Select the new people and look through the new camera."""
    if context.mode == "OBJECT":
        for ob in context.selected_objects:
            ob.select_set(False)
        for ob in people:
            if ob.name in context.view_layer.objects:
                ob.select_set(True)
                context.view_layer.objects.active = people[0]
    camera = takes.take_camera(collection)
    for area in context.screen.areas if context.screen else ():
        if area.type == "VIEW_3D":
            look_through(area.spaces.active, camera if context.scene.camera != camera else None)
            fill(context, context.window, area, collection[takes.SIZE])


def fill(context: bpy.types.Context, window: bpy.types.Window, area: bpy.types.Area, size: Sequence[float]) -> None:
    """Fills what the sidebar leaves of a viewport with the camera's picture, of `size` (W, H); it is drawn over it."""
    regions: dict[str, Any] = {region.type: region for region in area.regions}
    view: Any = area.spaces.active
    if bpy.app.background or view.region_3d.view_perspective != "CAMERA":
        return
    override: Any = context.temp_override(window=window, area=area, region=regions["WINDOW"])
    with override:
        bpy.ops.view3d.view_center_camera()
    render, wide, high = context.scene.render, regions["WINDOW"].width, regions["WINDOW"].height
    shape = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    frame = min(wide, high * shape)
    picture = min(frame, frame / shape * size[0] / size[1])
    overlaps = context.preferences.system.use_region_overlap and view.show_region_ui
    covered = min(regions["UI"].width, wide // 2) if overlaps else 0
    # Blender's own numbers: (sqrt 2 + zoom / 50)^2 / 4 times as large, moved by 2 * offset of what is shown so large
    scale = (2 ** 0.5 + view.region_3d.view_camera_zoom / 50) ** 2 / 4 * min(1.0, (wide - covered) / picture)
    view.region_3d.view_camera_zoom = 50 * (2 * scale ** 0.5 - 2 ** 0.5)
    view.region_3d.view_camera_offset = covered / (4 * wide * scale), 0.0


def redraw_sidebars(manager: bpy.types.WindowManager) -> None:
    """Only what shows the progress: redrawing every area makes each tick slow."""
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "CLIP_EDITOR", "STATUSBAR"):
                for region in area.regions:
                    if region.type == "UI" or area.type == "STATUSBAR":
                        region.tag_redraw()
