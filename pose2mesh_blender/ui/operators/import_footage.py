"""pose2mesh.import_footage: files from the file browser become moving meshes, one take each."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty

from ..jobs import WorkerOperator
from ..properties import AnimateOptions, Result, chosen, settings_of
from ..text import say


class POSE2MESH_OT_import_footage(AnimateOptions, WorkerOperator, bpy.types.Operator):
    """Choose footage and animate a mesh for each person in it"""

    bl_idname = "pose2mesh.import_footage"
    bl_label = "Footage as Animated Mesh"
    bl_options = {"UNDO", "PRESET"}

    filepath: StringProperty(name="Footage", subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    _chosen_in_window = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        if self.filepath or self.files:
            return self._start(context, modal=not bpy.app.background)
        self._chosen_in_window = True
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=self._chosen_in_window)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        folder = Path(bpy.path.abspath(self.directory))
        sources = [folder / file.name for file in self.files if file.name] or (
            [Path(bpy.path.abspath(self.filepath))] if self.filepath else [])
        if not sources:
            self.report({"ERROR"}, say("Choose footage first: a video, an image, or a folder of images"))
            return {"CANCELLED"}
        gone = next((source for source in sources if not source.exists()), None)
        if gone:
            self.report({"ERROR"}, say("{} does not exist. Choose footage that does", gone))
            return {"CANCELLED"}
        return self.run(context, [s.resolve() for s in sources], chosen(self, settings_of(context.scene)), modal)
