"""pose2mesh.import_folder: every piece of footage in a folder, one take each."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from ...core.batch import footage_in
from ...core.errors import Pose2MeshError
from ..jobs import WorkerOperator
from ..properties import AnimateOptions, Result, chosen, settings_of
from ..text import say, told


class POSE2MESH_OT_import_folder(AnimateOptions, WorkerOperator, bpy.types.Operator):
    """Animate all footage of a folder; a file that fails does not stop the others"""

    bl_idname = "pose2mesh.import_folder"
    bl_label = "Import Folder"
    bl_options = {"UNDO"}

    directory: StringProperty(name="Folder", subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    _chosen_in_window = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        if self.directory or bpy.app.background:
            return self._start(context, modal=not bpy.app.background)
        self._chosen_in_window = True
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=self._chosen_in_window)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        if not self.directory:
            self.report({"ERROR"}, say("Choose a folder of footage"))
            return {"CANCELLED"}
        try:
            sources = footage_in(Path(bpy.path.abspath(self.directory)).resolve())
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        return self.run(context, sources, chosen(self, settings_of(context.scene)), modal)
