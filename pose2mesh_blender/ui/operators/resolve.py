"""pose2mesh.resolve: what was edited on the footage, into the meshes."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ...scene import takes
from .. import keypoints
from ..correction import Correction
from ..jobs import Job, WorkerOperator
from ..preferences import engine
from ..properties import Result
from ..text import say


class POSE2MESH_OT_resolve(WorkerOperator, bpy.types.Operator):
    """Solve the frames again that edited keypoints reach"""

    bl_idname = "pose2mesh.resolve"
    bl_label = "Re-solve"
    bl_options = {"UNDO"}

    everything: BoolProperty(
        name="All Frames", description="Solve whole takes again, body shapes included, and not only what was edited",
        options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not takes.takes_in(context.scene):
            cls.poll_message_set(say("Animate footage first"))
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene = context.scene.name
        edited = keypoints.edited_in(context.scene)
        folders = list(edited) + [f for f in keypoints.old_meshes(context.scene) if f not in edited]
        if self.everything:
            folders = list(dict.fromkeys(str(c[takes.TAKE]) for c in takes.takes_in(context.scene)))
            gone = [f for f in folders if not (Path(f) / "take.json").is_file()]
            if gone:
                self.report({"ERROR"}, say("{} is gone. Animate the footage again", gone[0]))
                return {"CANCELLED"}
        if not folders:
            self.report({"INFO"}, say("Nothing to do: no keypoint was edited since the last time"))
            return {"CANCELLED"}
        requests = []
        for folder in folders:
            people = edited.get(folder, {})
            request = {**keypoints.request_of(folder, people, engine(context)), "all": self.everything}
            requests.append((folder, request, people, False))

        def make() -> Job:
            return Correction(requests, say("Re-solved"))

        return self.begin(context, make, modal)
