"""pose2mesh.redetect: one person, detected again."""
from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from ...core.errors import TakeError
from ...core.take import Take
from ...scene import tracks
from .. import keypoints
from ..correction import Correction
from ..jobs import Job, WorkerOperator
from ..preferences import detection, engine
from ..properties import Result, preset_of
from ..text import say, told


class POSE2MESH_OT_redetect(WorkerOperator, bpy.types.Operator):
    """Look for this person's keypoints again, where the markers say that the person is, and solve"""

    bl_idname = "pose2mesh.redetect"
    bl_label = "Detect Again"
    bl_options = {"UNDO"}

    replace_edited: BoolProperty(
        name="Replace Corrections", description="Also detect keypoints again that were corrected by hand",
        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return keypoints.poll_target(cls, context) and super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene = context.scene.name
        tracked = keypoints.target(context)
        try:
            with Take.open(tracked.folder) as take:
                rows = keypoints.rows_in(context, tracks.scene_frames(take, tracked))
        except TakeError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        requests = []
        people = keypoints.edited_in(context.scene).get(tracked.folder, {})
        if people:  # what the markers say now is where to look
            request = keypoints.request_of(tracked.folder, people, engine(context))
            requests.append((tracked.folder, request, people, False))
        requests.append((tracked.folder, {
            "cmd": "redetect", "take": tracked.folder, "person": tracked.person, "rows": list(rows),
            "keep_edited": not self.replace_edited, "footage": bpy.path.abspath(tracked.clip.filepath),
            "settings": {**engine(context), "preset": preset_of(context), **detection(context)}}, {}, True))

        def make() -> Job:
            return Correction(requests, say("Detected again"))

        return self.begin(context, make, modal)
