"""pose2mesh.export_fbx: people to an FBX file."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper

from ...core.errors import ExportError
from ...scene.export import export_fbx
from ..people import ExportOptions, chosen_people, poll_people, suggest_name
from ..properties import Result


class POSE2MESH_OT_export_fbx(ExportOptions, bpy.types.Operator, ExportHelper):  # type: ignore[misc]
    """Write people with their shape keys, motion and texture to an FBX file for games and other programs"""

    bl_idname = "pose2mesh.export_fbx"
    bl_label = "Export FBX"

    filename_ext = ".fbx"
    filter_glob: StringProperty(default="*.fbx", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filepath = self.filepath or suggest_name(context, self.filename_ext)  # type: ignore
        return ExportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        path = Path(bpy.path.abspath(bpy.path.ensure_ext(self.filepath, ".fbx")))
        try:
            export_fbx(path, people, fps=self.frame_rate(context))
        except ExportError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Exported {len(people)} to {path.name} ({path.stat().st_size / 1e6:.1f} MB)")
        return {"FINISHED"}
