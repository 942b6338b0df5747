"""pose2mesh.discard_corrections: markers back to where detection had put them."""
from __future__ import annotations

import bpy
import numpy as np

from ...core.errors import TakeError
from ...core.take import Take
from ...scene import tracks
from .. import keypoints
from ..properties import Result


class POSE2MESH_OT_discard_corrections(bpy.types.Operator):
    """Put markers back to where detection had put them. Takes the selected tracks, or all"""

    bl_idname = "pose2mesh.discard_corrections"
    bl_label = "Discard Corrections"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return keypoints.poll_target(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        tracked = keypoints.target(context)
        try:
            with Take.open(tracked.folder) as take:
                base = keypoints.base(tracked, take)
                first, last = keypoints.rows_in(context, tracks.scene_frames(take, tracked))
                edited = take.edits(tracked.person).mask(len(take))
        except TakeError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        changes = tracks.changes(tracked, base)
        edited[changes.rows, changes.joints] = True
        chosen = np.zeros(edited.shape, bool)
        chosen[first:last + 1, keypoints.chosen_joints(tracked)] = True
        rows, joints = np.nonzero(edited & chosen)
        if not len(rows):
            self.report({"WARNING"}, "No corrections in these frames")
            return {"CANCELLED"}
        tracks.put(tracked, base.frames, rows, joints, base.detected.points[rows, joints],
                   base.detected.muted[rows, joints])
        self.report({"INFO"}, f"{len(rows)} markers are as they were detected")
        return {"FINISHED"}
