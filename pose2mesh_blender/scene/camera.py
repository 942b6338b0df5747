"""The camera that saw the footage: same lens, same place, the footage behind it."""
from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

SENSOR = 36.0  # mm; any value gives the same picture, this one gives focal lengths that photographers know
BLENDER_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])  # Blender's camera looks along -z with y up


def new_camera(name: str, intrinsics: np.ndarray, size: tuple[int, int], world_from_camera: np.ndarray,
               frame_aspect: float) -> bpy.types.Object:
    """Camera object for pixel intrinsics (3, 3) of an image of `size` (W, H).

    frame_aspect: width / height of the scene's render frame. The sensor is fitted on the side that makes the whole
    image visible in it, so that lens and background agree whatever the render size is.
    """
    width, height = size
    data = bpy.data.cameras.new(name)
    upright = width / height <= frame_aspect
    data.sensor_fit = "VERTICAL" if upright else "HORIZONTAL"
    data.sensor_width = data.sensor_height = SENSOR
    fitted, focal = (height, intrinsics[1, 1]) if upright else (width, intrinsics[0, 0])
    data.lens_unit = "MILLIMETERS"
    data.lens = focal * SENSOR / fitted
    data.shift_x = (width / 2 - intrinsics[0, 2]) / fitted
    data.shift_y = (intrinsics[1, 2] - height / 2) / fitted
    data.clip_start, data.clip_end = 0.05, 1000.0
    ob = bpy.data.objects.new(name, data)
    ob.matrix_world = Matrix((np.asarray(world_from_camera, float) @ BLENDER_FROM_OPENCV).tolist())
    return ob


def open_clip(path: Path, first_frame: int) -> bpy.types.MovieClip | None:
    """The footage as a MovieClip whose first picture shows at scene frame `first_frame`; None if it cannot be opened.

    path: video, image, or folder of images. A clip already loaded from there with that start is used again.
    """
    path = first_picture(path)
    if path is None or not path.is_file():
        return None
    for clip in bpy.data.movieclips:
        if Path(bpy.path.abspath(clip.filepath)) == path and clip.frame_start == first_frame:
            return clip
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return None
    clip.frame_start = first_frame
    return clip


def first_picture(path: Path) -> Path | None:
    """`path` itself, or the first image when it is a folder: Blender names an image sequence by its first file."""
    if not path.is_dir():
        return path
    kinds = bpy.path.extensions_image
    return min((p for p in path.iterdir() if p.suffix.lower() in kinds), default=None, key=lambda p: p.name)


def show_clip(camera: bpy.types.Object, clip: bpy.types.MovieClip, size: tuple[int, int]) -> None:
    """Put the footage behind everything the camera sees."""
    data = camera.data
    data.show_background_images = True
    background = data.background_images.new()
    background.source = "MOVIE_CLIP"
    background.clip = clip
    background.alpha = 1.0
    background.frame_method = "FIT"
    background.display_depth = "BACK"
    background.show_expanded = False
