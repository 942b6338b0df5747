"""What the operators share that move markers of one person over a range of frames."""
from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
import numpy as np

from ..core.errors import TakeError
from ..core.take import Take
from ..scene import tracks
from . import keypoints
from .properties import Result
from .text import told


class MarkerOperator(bpy.types.Operator if TYPE_CHECKING else object):  # type: ignore[misc]
    """Opens the take behind the tracks in use; a take that is gone or has no such frames is reported."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return keypoints.poll_target(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        tracked = keypoints.target(context)
        try:
            with Take.open(tracked.folder) as take:
                base = keypoints.base(tracked, take)
                frames, by_hand = tracks.scene_frames(take, tracked), take.edits(tracked.person).mask(len(take))
            return self.move(context, tracked, base, frames, by_hand)
        except TakeError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}

    def move(self, context: bpy.types.Context, tracked: tracks.Tracked, base: tracks.Base, frames: np.ndarray,
             by_hand: np.ndarray) -> Result:
        """The operator's own part.

        frames: (T,) scene frame of each row; by_hand: (T, 23) bool, corrected in the take.
        """
        raise NotImplementedError
