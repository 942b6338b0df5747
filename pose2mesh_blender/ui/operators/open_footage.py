"""pose2mesh.open_footage: choose or drop the footage that Animate will use; several files wait in the queue."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ...core.footage import IMAGE_SUFFIXES
from .. import queue
from ..properties import Result, settings_of
from ..text import say


class POSE2MESH_OT_open_footage(bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Choose footage of people; then press Animate in the Pose2Mesh tab of the sidebar"""

    bl_idname = "pose2mesh.open_footage"
    bl_label = "Open Footage"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        if self.filepath or self.files:  # dropped
            return self.execute(context)
        return ImportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        folder = Path(bpy.path.abspath(self.directory))
        sources = [folder / file.name for file in self.files if file.name]
        if len(sources) < 2:
            sources = sources or [Path(bpy.path.abspath(self.filepath))]
        gone = next((source for source in sources if not source.exists()), None)
        if gone or not (self.filepath or self.files):
            self.report({"ERROR"}, say("{} does not exist. Choose footage that does", gone or self.filepath))
            return {"CANCELLED"}
        if context.area and context.area.type == "VIEW_3D":
            context.space_data.show_region_ui = True  # type: ignore[attr-defined]
        if len(sources) > 1 and all(source.suffix.lower() in IMAGE_SUFFIXES for source in sources):
            sources = [folder]  # pictures of one folder are a sequence
        if len(sources) > 1:
            count = queue.append(context.window_manager, [source.resolve() for source in sources])
            self.report({"INFO"}, say("{} pieces of footage wait. Press Animate All in the Pose2Mesh tab", count))
            return {"FINISHED"}
        settings_of(context.scene).footage = str(sources[0])
        self.report({"INFO"}, say("{} is ready. Press Animate in the Pose2Mesh tab of the sidebar", sources[0].name))
        return {"FINISHED"}
