"""pose2mesh.bake_cache: the poses in a file beside the .blend, played by a modifier."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ...core.errors import ExportError
from ...scene import storage
from ..people import chosen_people, poll_people, suggest_name
from ..properties import Result
from ..text import say, told

SUFFIXES = {"PC2": ".pc2", "ALEMBIC": ".abc"}


class POSE2MESH_OT_bake_cache(bpy.types.Operator, ExportHelper):  # type: ignore[misc]
    """Write the poses to files and add objects that play them; the people stay as they are"""

    bl_idname = "pose2mesh.bake_cache"
    bl_label = "Bake to Cache"
    bl_options = {"REGISTER", "UNDO"}

    filter_glob: StringProperty(default="*.pc2;*.abc", options={"HIDDEN"})
    format: EnumProperty(
        name="Format", description="What kind of file the poses are in",
        items=(("PC2", "PC2", "A pose per frame, whatever the frame rate of the scene; the Mesh Cache modifier plays "
                              "it"),
               ("ALEMBIC", "Alembic", "What other programs read too; plays by the clock, at the frame rate that the "
                                      "scene has now")))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    @property
    def filename_ext(self) -> str:
        return SUFFIXES[self.format]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filepath = self.filepath or suggest_name(context, self.filename_ext)  # type: ignore[has-type]
        return ExportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        path = Path(bpy.path.abspath(self.filepath))
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES.values() or self.properties.is_property_set("format"):
            suffix = self.filename_ext
        stem = path.stem if path.suffix.lower() in SUFFIXES.values() else path.name
        made: list[bpy.types.Object] = []
        try:
            for ob in people:
                own = stem if len(people) == 1 else f"{stem} {bpy.path.clean_name(ob.name)}"
                made.append(storage.bake(ob, path.with_name(own + suffix)))
        except ExportError as error:
            bpy.data.batch_remove([ob.data for ob in made])
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        self.report({"INFO"}, say("{} caches in {}", len(made), path.parent))
        return {"FINISHED"}
