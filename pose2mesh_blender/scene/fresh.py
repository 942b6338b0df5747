"""A fresh file around a take, as a command saves it; and views that look through a take's camera."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from mathutils import Euler

from ..core.body import Body
from ..core.take import Take
from . import takes


def fresh_file(take: Take, *, texture: Path | None = None, body: Body | None = None) -> bpy.types.Collection:
    """Start an empty file (what was open is gone) with the take in it, and return the take's collection.

    The scene matches the footage, a sun lights it, and all 3D views look through the take's camera.
    """
    # not read_factory_settings: that would switch off add-ons
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    collection = takes.build_take(take, scene, match_scene=True, texture=texture, body=body)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy = 3.0
    sun.rotation_euler = Euler((0.7, 0.2, 0.3))
    sun.location.z = 4.0
    scene.collection.objects.link(sun)
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                look_through(area.spaces.active)
    return collection


def look_through(space: Any, camera: bpy.types.Object | None = None) -> None:
    """Show the textured mesh before the footage; `camera`: for this view only, the scene's camera stays."""
    space.region_3d.view_perspective = "CAMERA"
    if space.shading.type == "SOLID":
        space.shading.color_type = "TEXTURE"
    if camera:
        space.use_local_camera = True
        space.camera = camera
