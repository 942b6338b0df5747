"""pose2mesh.person_merge: one person of several."""
from __future__ import annotations

from typing import Any

import bpy
from bpy.props import EnumProperty

from ...core.take import Take
from ...scene import takes
from ..jobs import Job, WorkerOperator
from ..people import active_person, poll_person
from ..preferences import engine
from ..properties import Result
from ..requests import TakeJob
from ..text import say

_items: list[tuple[str, str, str]] = []  # Blender does not keep the texts of an enumeration itself


def _others(self: Any, context: Any) -> list[tuple[str, str, str]]:
    first = active_person(context)
    here = takes.people_of(takes.collection_of(first)) if first else []
    _items[:] = [(str(ob[takes.PERSON]), ob.name, "") for ob in here if ob != first]
    return _items


class POSE2MESH_OT_person_merge(WorkerOperator, bpy.types.Operator):
    """Make one person of two, for example when somebody was lost for a while and found again. The active one's name stays"""  # noqa: E501

    bl_idname = "pose2mesh.person_merge"
    bl_label = "Merge People"
    bl_options = {"UNDO"}

    other: EnumProperty(name="With", description="Who is the same person", items=_others, options={"SKIP_SAVE"})

    _asked = False

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not poll_person(cls, context):
            return False
        if len(takes.people_of(takes.collection_of(active_person(context)))) < 2:
            cls.poll_message_set(say("There is one person only"))
            return False
        return super().poll(context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        if _selected(context) or bpy.app.background:
            return self._start(context, modal=not bpy.app.background)
        self._asked = True  # people who are never in one frame cannot be selected together
        return context.window_manager.invoke_props_dialog(self, confirm_text="Merge")  # type: ignore[return-value]

    def execute(self, context: bpy.types.Context) -> Result:
        return self._start(context, modal=self._asked)

    def _start(self, context: bpy.types.Context, modal: bool) -> Result:
        self._scene, first = context.scene.name, active_person(context)
        ids = [int(first[takes.PERSON])]
        if self.properties.is_property_set("other") or self._asked or not _selected(context):
            ids.append(int(self.other))
        else:
            ids += [int(ob[takes.PERSON]) for ob in _selected(context)]
        people = [first]
        folder = str(takes.collection_of(people[0])[takes.TAKE])

        def heirs(take: Take) -> dict[int, int]:
            return {max(take.people): ids[0]}

        def make() -> Job:
            request = {"cmd": "merge", "people": ids, "settings": engine(context)}
            return TakeJob(folder, request, say("Merged {} people", len(ids)), heirs)

        return self.begin(context, make, modal)


def _selected(context: bpy.types.Context) -> list[bpy.types.Object]:
    """Further people of the active one's take who are selected."""
    first = active_person(context)
    here = takes.people_of(takes.collection_of(first))
    return [ob for ob in context.view_layer.objects.selected if ob in here and ob != first]
