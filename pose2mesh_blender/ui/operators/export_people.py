"""pose2mesh.export_people: people to a file of another program, by preset."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ...core.errors import ExportError
from ...core.presets import FILE_SUFFIXES, PRESETS
from ...scene.export_people import export_people, heavy
from ..export_properties import export_of
from ..people import ExportPeople, chosen_people
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_export_people(ExportPeople, bpy.types.Operator):
    """Write people to a file for the program that the preset is for"""

    bl_idname = "pose2mesh.export_people"
    bl_label = "Export"

    filename_ext = ""
    check_extension = None
    preset: EnumProperty(name="Preset", description="What the file is for",
                         options={"SKIP_SAVE"}, items=tuple((p.name, p.label, p.text) for p in PRESETS.values()))
    filter_glob: StringProperty(default="*.fbx;*.glb;*.usdc;*.abc;*.bvh", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filename_ext = export_of(context.scene).format
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = export_of(context.scene), self.layout
        layout.prop(settings, "preset")
        layout.prop(settings, "format")
        layout.prop(self, "rate")
        if size := heavy(settings.format, chosen_people(context), PRESETS[settings.preset]):
            layout.label(text=say("The file will take up to {:.0f} MB", size / 1e6), icon="INFO")

    def execute(self, context: bpy.types.Context) -> Result:
        settings, people, render = export_of(context.scene), chosen_people(context), context.scene.render
        preset = PRESETS[self.preset if self.properties.is_property_set("preset") else settings.preset]
        path = Path(bpy.path.abspath(self.filepath))
        if path.suffix.lower() not in FILE_SUFFIXES[preset.kind]:
            path = path.with_name(path.name + (settings.format or FILE_SUFFIXES[preset.kind][0]))
        if size := heavy(path.suffix.lower(), people, preset):
            self.report({"WARNING"}, say("Every vertex of every frame: up to {:.0f} MB", size / 1e6))
        try:
            written = export_people(path, people, preset, settings.options(),
                                    together=settings.together if preset.name == settings.preset else None,
                                    fps=render.fps / render.fps_base if self.rate == "SCENE" else None)
        except ExportError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        for one in written:
            size = sum(p.stat().st_size for p in one.paths)
            text = say("Exported {} ({:.1f} MB)", one.paths[0].name, size / 1e6)
            self.report({"INFO"}, f"{text}. {one.text}" if one.text else text)
        return {"FINISHED"}
