"""What the windows show: a new take, and redraws of what shows progress."""
from __future__ import annotations

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
            region = next((r for r in area.regions if r.type == "WINDOW"), None)
            if region and not bpy.app.background:
                override: Any = context.temp_override(area=area, region=region)
                with override:
                    bpy.ops.view3d.view_center_camera()  # fill the view with the picture


def redraw_sidebars(manager: bpy.types.WindowManager) -> None:
    """Only what shows the progress: redrawing every area makes each tick slow."""
    for window in manager.windows:
        for area in window.screen.areas:
            if area.type in ("VIEW_3D", "CLIP_EDITOR", "STATUSBAR"):
                for region in area.regions:
                    if region.type == "UI" or area.type == "STATUSBAR":
                        region.tag_redraw()
