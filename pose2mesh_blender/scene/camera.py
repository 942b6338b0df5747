"""The camera that saw the footage: same lens, same place, the footage behind it."""
from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ..core.footage import image_files

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


def load_footage(path: Path) -> bpy.types.MovieClip | None:
    """The footage as a clip with no place in time yet; None, and nothing new, when Blender cannot show it.

    path: video, image, or folder of images.
    """
    picture = path if not path.is_dir() else first_of_sequence(path)
    if picture is None or not picture.is_file():
        return None
    try:
        clip = bpy.data.movieclips.load(str(picture))
    except RuntimeError:
        return None
    if not clip.frame_duration:  # a clip that cannot be decoded still has a size
        bpy.data.movieclips.remove(clip)
        return None
    return clip


def place_clip(clip: bpy.types.MovieClip, first_frame: int) -> bpy.types.MovieClip:
    """Let the clip start there; one that does already is used again in its place, none is moved."""
    path = Path(bpy.path.abspath(clip.filepath))
    for other in bpy.data.movieclips:
        if other != clip and Path(bpy.path.abspath(other.filepath)) == path and other.frame_start == first_frame:
            bpy.data.movieclips.remove(clip)
            return other
    clip.frame_start = first_frame
    return clip


def show_footage(camera: bpy.types.Object, clip: bpy.types.MovieClip) -> None:
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


def first_of_sequence(folder: Path) -> Path | None:
    """The first image of a folder, by which Blender names the sequence; None when the numbers have gaps.

    Blender counts numbers, we count files: with gaps the footage would run away from the mesh.
    """
    files = image_files(folder)
    numbers = [re.findall(r"\d+", p.stem)[-1:] for p in files]
    if len(files) > 1 and not all(numbers):
        return None
    counts = [int(n[0]) for n in numbers] if len(files) > 1 else [0]
    return files[0] if files and counts == list(range(counts[0], counts[0] + len(counts))) else None
