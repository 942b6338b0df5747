"""pose2mesh.convert_keys: the storage of the poses."""
from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ...core.errors import Pose2MeshError
from ...scene import compact, storage
from ..people import chosen_people, poll_people
from ..properties import Result, settings_of
from ..text import say, told


class POSE2MESH_OT_convert_keys(bpy.types.Operator):
    """Store the poses in another way. Absolute and relative are the same motion, compact is nearly the same"""

    bl_idname = "pose2mesh.convert_keys"
    bl_label = "Convert Shape Keys"
    bl_options = {"REGISTER", "UNDO"}

    storage: EnumProperty(
        name="Storage", description="How poses are stored",
        items=((storage.ABSOLUTE, "Absolute", "One time line for all keys: plays fastest, is retimed by two points"),
               (storage.RELATIVE, "Relative", "A value per key and frame, to mix by hand"),
               (storage.COMPACT, "Compact", "A few movements instead of a key per frame: small files, and an error "
                                            "that the panel shows")))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        try:
            storage.store(people, self.storage, settings_of(context.scene).movements)
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        if self.storage == storage.COMPACT:
            off = max(map(compact.error_of, people))
            self.report({"INFO"}, say("{} people stored compactly, up to {:.2f} mm off", len(people), off))
        elif self.storage == storage.RELATIVE:
            self.report({"INFO"}, say("{} people with relative shape keys", len(people)))
        else:
            self.report({"INFO"}, say("{} people with absolute shape keys", len(people)))
        return {"FINISHED"}
