"""pose2mesh.animate: footage becomes moving meshes."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ..jobs import WorkerOperator
from ..properties import AnimateOptions, Result, chosen, settings_of


class POSE2MESH_OT_animate(AnimateOptions, WorkerOperator, bpy.types.Operator):
    """Find the people in the footage and animate a mesh for each"""

    bl_idname = "pose2mesh.animate"
    bl_label = "Animate"
    bl_options = {"UNDO"}  # without REGISTER: the redo panel would run minutes of work again

    filepath: StringProperty(name="Footage", description="Empty takes the scene's footage", subtype="FILE_PATH",
                             options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        settings = settings_of(context.scene)
        footage = self.filepath or settings.footage
        if not footage:
            self.report({"ERROR"}, "Choose footage first: a video, an image, or a folder of images")
            return {"CANCELLED"}
        source = Path(bpy.path.abspath(footage))
        if not source.exists():
            self.report({"ERROR"}, f"{source} does not exist. Choose footage that does")
            return {"CANCELLED"}
        return self.run(context, [source.resolve()], chosen(self, settings), modal)
