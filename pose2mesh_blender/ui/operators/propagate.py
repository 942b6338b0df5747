"""pose2mesh.propagate: a correction, carried to the frames around it."""
from __future__ import annotations

import bpy
import numpy as np

from ...scene import marker_edits, tracks
from .. import keypoints
from ..keypoint_properties import PropagateOptions, keypoint_settings
from ..marker_operator import MarkerOperator
from ..properties import Result
from ..text import say


class POSE2MESH_OT_propagate(MarkerOperator, PropagateOptions, bpy.types.Operator):
    """Carry the correction of this frame to the frames around it, where it fades. Takes the selected tracks, or all"""

    bl_idname = "pose2mesh.propagate"
    bl_label = "Propagate Correction"
    bl_options = {"REGISTER", "UNDO"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        settings = keypoint_settings(context.scene)
        for name in PropagateOptions.__annotations__:
            if not self.properties.is_property_set(name):
                setattr(self, name, getattr(settings, name))
        return self.execute(context)

    def move(self, context: bpy.types.Context, tracked: tracks.Tracked, base: tracks.Base, frames: np.ndarray,
             by_hand: np.ndarray) -> Result:
        row = keypoints.row_at(frames, context.scene.frame_current)
        changes = tracks.changes(tracked, base)
        by_hand[changes.rows, changes.joints] = True
        joints = np.intersect1d(keypoints.chosen_joints(tracked), np.flatnonzero(by_hand[row]))
        if not len(joints):
            self.report({"WARNING"}, say("No selected marker is corrected in this frame. Drag one first"))
            return {"CANCELLED"}
        put = marker_edits.propagate(tracks.read(tracked, base.frames), base, by_hand, row, joints, self.before,
                                     self.after, self.falloff)
        tracks.put(tracked, base.frames, *put)
        self.report({"INFO"}, say("{} corrections carried to {} markers", len(joints), len(put.rows)))
        return {"FINISHED"}
