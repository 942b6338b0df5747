"""pose2mesh.swap_sides: left and right keypoints exchanged."""
from __future__ import annotations

import bpy
import numpy as np

from ...scene import marker_edits, tracks
from .. import keypoints
from ..marker_operator import MarkerOperator
from ..properties import Result
from ..text import say


class POSE2MESH_OT_swap_sides(MarkerOperator, bpy.types.Operator):
    """Exchange left and right where detection mixed them up. Takes the selected tracks with their partners, or all"""

    bl_idname = "pose2mesh.swap_sides"
    bl_label = "Swap Left/Right"
    bl_options = {"REGISTER", "UNDO"}

    def move(self, context: bpy.types.Context, tracked: tracks.Tracked, base: tracks.Base, frames: np.ndarray,
             by_hand: np.ndarray) -> Result:
        first, last = keypoints.rows_in(context, frames)
        put = marker_edits.swap(tracks.read(tracked, base.frames), first, last, keypoints.chosen_joints(tracked))
        tracks.put(tracked, base.frames, *put)
        self.report({"INFO"}, say("Left and right exchanged in {} frames", last - first + 1))
        return {"FINISHED"}
