"""pose2mesh.open_footage: choose the footage that Animate will use."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..properties import Result, settings_of


class POSE2MESH_OT_open_footage(bpy.types.Operator, ImportHelper):  # type: ignore[misc]
    """Choose footage of people; then press Animate in the Pose2Mesh tab of the sidebar"""

    bl_idname = "pose2mesh.open_footage"
    bl_label = "Open Footage"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_movie: BoolProperty(default=True, options={"HIDDEN"})
    filter_image: BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        if self.filepath:  # dropped
            return self.execute(context)
        return ImportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        path = Path(bpy.path.abspath(self.filepath))
        if not self.filepath or not path.exists():
            self.report({"ERROR"}, f"{path} does not exist. Choose footage that does")
            return {"CANCELLED"}
        settings_of(context.scene).footage = str(path)
        if context.area and context.area.type == "VIEW_3D":
            context.space_data.show_region_ui = True  # type: ignore[attr-defined]
        self.report({"INFO"}, f"{path.name} is ready. Press Animate in the Pose2Mesh tab of the sidebar")
        return {"FINISHED"}
