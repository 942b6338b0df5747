"""When the frames of a take are shown in a scene: in step with the footage behind the mesh."""
from __future__ import annotations

from typing import NamedTuple

import bpy
import numpy as np

from ..core.take import Take

STRAY = 0.25  # of a frame: how far a constant rate may be off where it says it is
ROUNDING = 0.05  # of a frame: what time stamps in whole milliseconds are off


class Timing(NamedTuple):
    """frames: (T,) scene frame of every row of the take, whole numbers for footage of a constant rate; fps: scene
    frames per second at which it plays at its real speed; clip_start: scene frame of the footage's first picture.
    """
    frames: np.ndarray
    fps: float
    clip_start: int

    @property
    def range(self) -> tuple[int, int]:
        """First and last scene frame: those that show the first and the last picture."""
        return int(np.ceil(self.frames[0])), int(np.ceil(self.frames[-1]))


def rate_of(take: Take, clip: bpy.types.MovieClip | None) -> float:
    """The rate by which the clip's pictures are told apart, for `timing_of`; keypoint files only count them."""
    return clip.fps if clip and clip.source == "MOVIE" and take.footage.get("kind") != "keypoints" else 0.0


def timing_of(take: Take, start: int, clip_fps: float = 0.0) -> Timing:
    """The take's first frame on scene frame `start`, the others one by one after it or where Blender shows them.

    clip_fps: rate at which Blender plays the footage, 0 when it shows none or counts pictures. Blender plays a video
    by time: a scene frame shows the last picture whose time has come. Where the rate varies these are not the
    pictures' numbers, so there the rows lie on their time stamps, between whole frames.
    """
    known = take.detected  # other rows have no time stamps of their own yet
    stray = np.abs(take.timestamps * clip_fps - take.frames)[known]
    if not clip_fps or not len(stray) or stray.max() <= STRAY:
        clip_start = start - int(take.frames[0])
        return Timing(clip_start + take.frames, take.fps, clip_start)
    last = take.frames[known][-1]
    seconds = np.interp(take.frames, take.frames[known], take.timestamps[known])
    seconds += np.maximum(take.frames - last, 0) / take.fps
    places = seconds * clip_fps
    whole = np.round(places)
    # time stamps are rounded themselves, and most of them mean a whole frame
    places = np.where(np.abs(places - whole) < ROUNDING, whole, places)
    clip_start = start - int(np.ceil(places[0]))
    return Timing(clip_start + places, clip_fps, clip_start)
