"""pose2mesh.person_split: two people of one, from the current frame on."""
from __future__ import annotations

import bpy
import numpy as np

from ...core.errors import Pose2MeshError
from ...core.take import Take
from ...scene import takes
from ..jobs import Job, WorkerOperator
from ..people import active_person, poll_person
from ..preferences import engine
from ..properties import Result
from ..requests import TakeJob
from ..text import say, told


class POSE2MESH_OT_person_split(WorkerOperator, bpy.types.Operator):
    """Make two people of one: before the current frame, and from it on. For people who were taken for each other"""

    bl_idname = "pose2mesh.person_split"
    bl_label = "Split Person at Frame"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_person(cls, context) and super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene, ob = context.scene.name, active_person(context)
        collection, person = takes.collection_of(ob), int(ob[takes.PERSON])
        folder = str(collection[takes.TAKE])
        try:
            with Take.open(folder) as take:
                row = int(np.searchsorted(takes.timing_in(collection, take).frames, context.scene.frame_current))
        except Pose2MeshError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}

        def heirs(take: Take) -> dict[int, int]:
            return {max(take.people) - 1: person}

        def make() -> Job:
            request = {"cmd": "split", "person": person, "row": row, "settings": engine(context)}
            return TakeJob(folder, request, say("Split {} at frame {}", ob.name, context.scene.frame_current), heirs)

        return self.begin(context, make, modal)
