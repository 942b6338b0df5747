"""pose2mesh.swap_sides: left and right keypoints exchanged."""
from __future__ import annotations

import bpy

from ...core.errors import TakeError
from ...core.take import Take
from ...scene import marker_edits, tracks
from .. import keypoints
from ..properties import Result


class POSE2MESH_OT_swap_sides(bpy.types.Operator):
    """Exchange left and right where detection mixed them up. Takes the selected tracks with their partners, or all"""

    bl_idname = "pose2mesh.swap_sides"
    bl_label = "Swap Left/Right"
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
        except TakeError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        put = marker_edits.swap(tracks.read(tracked, base.frames), first, last, keypoints.chosen_joints(tracked))
        tracks.put(tracked, base.frames, *put)
        self.report({"INFO"}, f"Left and right exchanged in {last - first + 1} frames")
        return {"FINISHED"}
