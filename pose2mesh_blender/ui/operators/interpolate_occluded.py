"""pose2mesh.interpolate_occluded: muted and missing markers, between those that are seen."""
from __future__ import annotations

import bpy
import numpy as np
from bpy.props import IntProperty

from ...scene import marker_edits, tracks
from .. import keypoints
from ..keypoint_properties import keypoint_settings
from ..marker_operator import MarkerOperator
from ..properties import Result
from ..text import say


class POSE2MESH_OT_interpolate_occluded(MarkerOperator, bpy.types.Operator):
    """Place muted and missing markers on a path between those that are seen. Takes the selected tracks, or all"""

    bl_idname = "pose2mesh.interpolate_occluded"
    bl_label = "Interpolate Occluded"
    bl_options = {"REGISTER", "UNDO"}

    longest: IntProperty(name="Longest Gap", description="Gaps of more frames are left", default=30, min=1,
                         soft_max=120)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        if not self.properties.is_property_set("longest"):
            self.longest = keypoint_settings(context.scene).longest
        return self.execute(context)

    def move(self, context: bpy.types.Context, tracked: tracks.Tracked, base: tracks.Base, frames: np.ndarray,
             by_hand: np.ndarray) -> Result:
        first, last = keypoints.rows_in(context, frames)
        put = marker_edits.interpolate(tracks.read(tracked, base.frames), keypoints.chosen_joints(tracked), first, last,
                                       self.longest)
        if not len(put.rows):
            self.report({"WARNING"}, say(
                "No gap between seen markers in these frames. Choose more frames, or longer gaps"))
            return {"CANCELLED"}
        tracks.put(tracked, base.frames, *put)
        self.report({"INFO"}, say("Placed {} markers", len(put.rows)))
        return {"FINISHED"}
