"""pose2mesh.bake_cache: the poses in a file beside the .blend, played by a Mesh Cache modifier."""
from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty
from bpy_extras.io_utils import ExportHelper

from ...core.errors import ExportError
from ...scene import storage
from ..people import chosen_people, poll_people, suggest_name
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_bake_cache(bpy.types.Operator, ExportHelper):  # type: ignore[misc]
    """Write the poses to PC2 files and add objects that play them; the people stay as they are"""

    bl_idname = "pose2mesh.bake_cache"
    bl_label = "Bake to Cache"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".pc2"
    filter_glob: StringProperty(default="*.pc2", options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filepath = self.filepath or suggest_name(context, self.filename_ext)  # type: ignore[has-type]
        return ExportHelper.invoke(self, context, event)  # type: ignore

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        path = Path(bpy.path.abspath(bpy.path.ensure_ext(self.filepath, ".pc2")))
        made: list[bpy.types.Object] = []
        try:
            for ob in people:
                name = path.name if len(people) == 1 else f"{path.stem} {bpy.path.clean_name(ob.name)}.pc2"
                made.append(storage.bake(ob, path.with_name(name)))
        except ExportError as error:
            bpy.data.batch_remove([ob.data for ob in made])
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        self.report({"INFO"}, say("{} caches in {}", len(made), path.parent))
        return {"FINISHED"}
