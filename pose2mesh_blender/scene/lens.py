"""The real camera's lens, where somebody has set it on the clip."""
from __future__ import annotations

from pathlib import Path

import bpy

UNSET = (24.0, 35.0)  # millimetres of focal length and sensor that Blender gives to every new clip


def focal_of(source: Path) -> float | None:
    """Focal length in pixels by an open clip of this footage whose lens is not Blender's default; else None."""
    for clip in bpy.data.movieclips:
        path = Path(bpy.path.abspath(clip.filepath))
        camera = clip.tracking.camera
        was_set = abs(camera.focal_length - UNSET[0]) > 1e-3 or abs(camera.sensor_width - UNSET[1]) > 1e-3
        if was_set and source in (path, path.parent if clip.source == "SEQUENCE" else path):
            return float(camera.focal_length_pixels)
    return None
