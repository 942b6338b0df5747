"""pose2mesh.person_merge: one person of several."""
from __future__ import annotations

import bpy

from ...core.take import Take
from ...scene import takes
from ..jobs import Job, WorkerOperator
from ..preferences import device
from ..properties import Result
from ..requests import TakeJob
from ..text import say


class POSE2MESH_OT_person_merge(WorkerOperator, bpy.types.Operator):
    """Make one person of the selected people, for example when somebody was lost for a while and found again"""

    bl_idname = "pose2mesh.person_merge"
    bl_label = "Merge People"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if len(_chosen(context)) < 2:
            cls.poll_message_set(say("Select two people of one take, first the one whose name stays"))
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return self._start(context, modal=not bpy.app.background)

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=False)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene, people = context.scene.name, _chosen(context)
        ids = [int(ob[takes.PERSON]) for ob in people]
        folder = str(takes.collection_of(people[0])[takes.TAKE])

        def heirs(take: Take) -> dict[int, int]:
            return {max(take.people): ids[0]}

        def make() -> Job:
            request = {"cmd": "merge", "people": ids, "settings": {"device": device(context)}}
            return TakeJob(folder, request, say("Merged {} people", len(ids)), heirs)

        return self.begin(context, make, modal)


def _chosen(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected people of the active one's take, the active one first."""
    active = context.view_layer.objects.active
    selected = [ob for ob in context.view_layer.objects.selected if takes.is_person(ob)]
    if not selected:
        return []
    first = active if active in selected else selected[0]
    collection = takes.collection_of(first)
    rest = [ob for ob in selected if ob != first and takes.collection_of(ob) == collection]
    return [first, *rest] if collection else []
