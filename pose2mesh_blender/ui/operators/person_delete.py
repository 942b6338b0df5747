"""pose2mesh.person_delete: people out of the take."""
from __future__ import annotations

import bpy

from ...core.errors import Pose2MeshError
from ...scene import refresh, takes
from .. import roster
from ..people import active_person, poll_idle, poll_person
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_person_delete(bpy.types.Operator):
    """Take the selected people out of the take: mesh, motion and keypoints. Undo brings them back"""

    bl_idname = "pose2mesh.person_delete"
    bl_label = "Delete Person"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_idle(cls) and poll_person(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        first = active_person(context)
        collection = takes.collection_of(first)
        chosen = [ob for ob in takes.people_of(collection) if ob == first or ob.select_get()]
        gone, names = {int(ob[takes.PERSON]) for ob in chosen}, ", ".join(ob.name for ob in chosen)
        off = refresh.off_in(collection)
        rest = [int(ob[takes.PERSON]) for ob in takes.people_of(collection)
                if int(ob[takes.PERSON]) not in gone | set(off)]
        if not rest:
            self.report({"ERROR"}, say("A take needs at least one person. Delete its collection instead"))
            return {"CANCELLED"}
        try:
            roster.seat(collection, rest)
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        refresh.set_off(collection, [p for p in off if p not in gone])
        for ob in chosen:
            refresh.remove(collection, ob)
        self.report({"INFO"}, say("Deleted {}", names))
        return {"FINISHED"}
