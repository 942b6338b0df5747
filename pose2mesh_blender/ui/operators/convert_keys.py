"""pose2mesh.convert_keys: absolute shape keys to relative ones and back."""
from __future__ import annotations

import bpy

from ...scene import shape_keys
from ..people import chosen_people, poll_people
from ..properties import Result


class POSE2MESH_OT_convert_keys(bpy.types.Operator):
    """Switch between one time line for all shape keys (fast, easy to retime) and one value per key (to mix by hand)"""

    bl_idname = "pose2mesh.convert_keys"
    bl_label = "Convert Shape Keys"
    bl_options = {"REGISTER", "UNDO"}

    relative: bpy.props.BoolProperty(name="Relative", description="One value per key instead of one time line")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        if self.relative:
            for ob in people:
                shape_keys.to_relative(ob)
        else:
            lines = {}
            try:  # everybody or nobody: what is cancelled can not be undone
                for ob in people:
                    if ob.data.shape_keys.use_relative:
                        lines[ob] = shape_keys.time_line(ob)
            except ValueError as error:
                self.report({"ERROR"}, f"{ob.name}: {error}")
                return {"CANCELLED"}
            for ob, line in lines.items():
                shape_keys.to_absolute(ob, line)
        self.report({"INFO"}, f"{len(people)} with {'relative' if self.relative else 'absolute'} shape keys")
        return {"FINISHED"}
