"""pose2mesh.export_model: people to glTF, USD or Alembic."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ...core.errors import ExportError
from ...scene.export import export
from ..people import ExportOptions, chosen_people, poll_people, suggest_name
from ..properties import Result


class POSE2MESH_OT_export_model(ExportOptions, bpy.types.Operator, ExportHelper):  # type: ignore[misc]
    """Write people to a glTF, USD or Alembic file"""

    bl_idname = "pose2mesh.export_model"
    bl_label = "Export Model"

    filename_ext: EnumProperty(
        name="Format", items=((".glb", "glTF (.glb)", "Shape keys, texture inside"),
                              (".usdc", "USD (.usdc)", "Moving points, texture beside"),
                              (".abc", "Alembic (.abc)", "Moving points, no texture")))
    filter_glob: StringProperty(default="*.glb;*.usdc;*.abc", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filepath = self.filepath or suggest_name(context, self.filename_ext)  # type: ignore
        return ExportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower() not in (".glb", ".usdc", ".abc"):
            path = path.with_name(path.name + self.filename_ext)
        try:
            export(path, people, fps=self.frame_rate(context))
        except ExportError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Exported {len(people)} to {path.name} ({path.stat().st_size / 1e6:.1f} MB)")
        return {"FINISHED"}
