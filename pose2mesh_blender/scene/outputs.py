"""Everything that needs Blender for a command: a take into fresh files, in this process."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import bpy
from mathutils import Euler

from ..core.body import Body
from ..core.take import Take
from . import export, takes

SUFFIXES = (*export.WRITERS, ".blend")


def write_outputs(take: Take, paths: Iterable[Path], *, texture: Path | None = None, body: Body | None = None,
                  progress: Callable[[str, int, int], None] | None = None) -> None:
    """Write a solved take to files by suffix (SUFFIXES). Starts from an empty file: what was open in `bpy` is gone.

    progress(stage, done, total) is called per file. Raises ExportError or TakeError.
    """
    paths = [Path(p) for p in paths]
    collection = fresh_file(take, texture=texture, body=body)
    people = takes.people_of(collection)
    for number, path in enumerate(paths):
        if progress:
            progress(f"Writing {path.name}", number, len(paths))
        export.export(path, people)
    if progress:
        progress("Writing", len(paths), len(paths))


def fresh_file(take: Take, *, texture: Path | None = None, body: Body | None = None) -> bpy.types.Collection:
    """An empty file with the take in it: scene matched to the footage, a light, views through the camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start = 1
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


def look_through(space: bpy.types.SpaceView3D, camera: bpy.types.Object | None = None) -> None:
    """Show the textured mesh before the footage; `camera`: for this view only, the scene's camera stays."""
    space.region_3d.view_perspective = "CAMERA"
    if space.shading.type == "SOLID":
        space.shading.color_type = "TEXTURE"
    if camera and bpy.context.scene.camera != camera:
        space.use_local_camera = True
        space.camera = camera
