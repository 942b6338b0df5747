"""pose2mesh.mark_asset: people and their motion in Blender's asset browser."""
from __future__ import annotations

import bpy

from ...scene import assets, takes
from ..people import chosen_people, poll_people
from ..properties import Result
from ..text import say


class POSE2MESH_OT_mark_asset(bpy.types.Operator):
    """Put people into the asset browser: the mesh that moves, its material, and the actions of its path and poses"""

    bl_idname = "pose2mesh.mark_asset"
    bl_label = "Mark as Asset"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_people(cls, context):
            return False
        if all(assets.is_marked(ob) for ob in chosen_people(context)):
            cls.poll_message_set(say("Already assets. Clear them in the asset browser to mark them again"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> Result:
        people = chosen_people(context)
        for ob in people:
            collection = takes.collection_of(ob)
            assets.mark(ob, collection.name if collection else "")
        self.report({"INFO"}, say("{} people are assets. Save the file in an asset library to find them there",
                                  len(people)))
        return {"FINISHED"}
