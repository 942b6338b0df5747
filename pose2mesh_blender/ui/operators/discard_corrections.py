"""pose2mesh.discard_corrections: markers back to where detection had put them."""
from __future__ import annotations

import bpy
import numpy as np

from ...scene import tracks
from .. import keypoints
from ..marker_operator import MarkerOperator
from ..properties import Result
from ..text import say


class POSE2MESH_OT_discard_corrections(MarkerOperator, bpy.types.Operator):
    """Put markers back to where detection had put them. Takes the selected tracks, or all"""

    bl_idname = "pose2mesh.discard_corrections"
    bl_label = "Discard Corrections"
    bl_options = {"REGISTER", "UNDO"}

    def move(self, context: bpy.types.Context, tracked: tracks.Tracked, base: tracks.Base, frames: np.ndarray,
             by_hand: np.ndarray) -> Result:
        first, last = keypoints.rows_in(context, frames)
        changes = tracks.changes(tracked, base)
        by_hand[changes.rows, changes.joints] = True
        chosen = np.zeros(by_hand.shape, bool)
        chosen[first:last + 1, keypoints.chosen_joints(tracked)] = True
        rows, joints = np.nonzero(by_hand & chosen)
        if not len(rows):
            self.report({"WARNING"}, say("No corrections in these frames"))
            return {"CANCELLED"}
        tracks.put(tracked, base.frames, rows, joints, base.detected.points[rows, joints],
                   base.detected.muted[rows, joints])
        self.report({"INFO"}, say("{} markers are as they were detected", len(rows)))
        return {"FINISHED"}
