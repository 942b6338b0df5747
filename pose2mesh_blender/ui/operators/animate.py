"""pose2mesh.animate: the chosen footage, or all that waits in the queue, becomes moving meshes."""
from __future__ import annotations

from pathlib import Path

import bpy

from .. import queue
from ..jobs import WorkerOperator
from ..properties import AnimateOptions, Result, chosen, settings_of
from ..text import say


class POSE2MESH_OT_animate(AnimateOptions, WorkerOperator, bpy.types.Operator):
    """Find the people in the footage and animate a mesh for each"""

    bl_idname = "pose2mesh.animate"
    bl_label = "Animate"
    bl_options = {"UNDO"}  # without REGISTER: the redo panel would run minutes of work again

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not settings_of(context.scene).footage and not queue.waiting(bpy.context.window_manager):
            cls.poll_message_set(say("Choose footage first: a video, an image, or a folder of images"))
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        settings = settings_of(context.scene)
        sources = queue.waiting(context.window_manager) or [Path(bpy.path.abspath(settings.footage))]
        gone = next((source for source in sources if not source.exists()), None)
        if gone:
            self.report({"ERROR"}, say("{} does not exist. Choose footage that does", gone))
            return {"CANCELLED"}
        return self.run(context, [source.resolve() for source in sources], chosen(self, settings), modal)
