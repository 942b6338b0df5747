"""pose2mesh.solve_again: the take with the solve settings of the panel, without detecting anew."""
from __future__ import annotations

from pathlib import Path

import bpy

from ...scene import takes
from ..jobs import Job, WorkerOperator
from ..people import active_take, poll_take
from ..preferences import engine
from ..properties import Result, settings_of
from ..requests import TakeJob
from ..text import say


class POSE2MESH_OT_solve_again(WorkerOperator, bpy.types.Operator):
    """Solve the whole take with these settings; keypoints and corrections stay as they are"""

    bl_idname = "pose2mesh.solve_again"
    bl_label = "Solve Again"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_take(cls, context) and super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene, settings = context.scene.name, settings_of(context.scene)
        folder = str(active_take(context)[takes.TAKE])
        body = bpy.path.abspath(settings.body)
        if body and not Path(body).is_file():
            self.report({"ERROR"}, say("{} does not exist. Choose another body file, or none", body))
            return {"CANCELLED"}
        request = {"cmd": "solve", "settings": {
            "smooth": settings.smooth, "feet": settings.feet, "height": settings.height or None, "body": body or None,
            **engine(context)}}

        def make() -> Job:
            return TakeJob(folder, request, say("Solved the take again"))

        return self.begin(context, make, modal)
