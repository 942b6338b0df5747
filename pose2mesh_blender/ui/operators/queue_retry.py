"""pose2mesh.queue_retry: what failed or was stopped, once more."""
from __future__ import annotations

from pathlib import Path

import bpy

from .. import queue
from ..jobs import WorkerOperator
from ..properties import AnimateOptions, Result, chosen, settings_of
from ..text import say


class POSE2MESH_OT_queue_retry(AnimateOptions, WorkerOperator, bpy.types.Operator):
    """Animate again what failed or was stopped"""

    bl_idname = "pose2mesh.queue_retry"
    bl_label = "Retry Failed"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not any(item.state in ("failed", "stopped") for item in queue.items(bpy.context.window_manager)):
            cls.poll_message_set(say("Nothing in the queue has failed"))
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        sources = [Path(item.name) for item in queue.items(context.window_manager)
                   if item.state in ("failed", "stopped")]
        return self.run(context, sources, chosen(self, settings_of(context.scene)), modal)
