"""Which people an operator or panel means, and what exports ask."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import EnumProperty
from bpy_extras.io_utils import ExportHelper

from ..scene import takes
from . import jobs
from .properties import Result, settings_of
from .text import say


def active_take(context: bpy.types.Context) -> bpy.types.Collection | None:
    """The take of the active object, else the newest in the scene."""
    here = takes.takes_in(context.scene)
    ob = context.view_layer.objects.active
    mine = [c for c in here if ob and ob.name in c.all_objects]
    return (mine or here or [None])[-1]


def chosen_people(context: bpy.types.Context) -> list[bpy.types.Object]:
    """Selected people, else everybody of the active take."""
    selected = [ob for ob in context.view_layer.objects.selected if takes.is_person(ob)]
    if selected:
        return selected
    take = active_take(context)
    return takes.people_of(take) if take else []


def active_person(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active object when it is a person, else the only person of the take."""
    ob, take = context.view_layer.objects.active, active_take(context)
    if takes.is_person(ob):
        return ob
    people = takes.people_of(take) if take else []
    return people[0] if len(people) == 1 else None


def poll_idle(cls: type[bpy.types.Operator]) -> bool:
    """Nothing is at work."""
    if jobs.current is not None:
        cls.poll_message_set(say("Pose2Mesh is at work. Press Esc to stop it"))
        return False
    return True


def poll_take(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if active_take(context) is None:
        cls.poll_message_set(say("Animate footage first"))
        return False
    return True


def poll_person(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if active_person(context) is None:
        cls.poll_message_set(say("Select a person of the take"))
        return False
    return True


def poll_people(cls: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    if not chosen_people(context):
        cls.poll_message_set(say("Animate footage first, or select a Pose2Mesh mesh"))
        return False
    return True


def suggest_name(context: bpy.types.Context, suffix: str) -> str:
    """Beside the .blend, or beside the footage, named as the take."""
    take = active_take(context)
    base = Path(bpy.path.abspath("//")) if bpy.data.filepath else Path(settings_of(context.scene).footage).parent
    return str(base / f"{take.name if take else 'people'}{suffix}")


class ExportPeople(ExportHelper, bpy.types.Operator if TYPE_CHECKING else object):  # type: ignore[misc]
    """Base of operators that write people to a file."""

    rate: EnumProperty(
        name="Frame Rate",
        items=(("FOOTAGE", "Of the Footage", "The motion keeps its real speed, one key per frame of the footage"),
               ("SCENE", "Of the Scene", "For motion that was retimed to the scene's frame rate")))

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_people(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:  # type: ignore[override]
        self.filepath = self.filepath or suggest_name(context, self.filename_ext)  # type: ignore
        return ExportHelper.invoke(self, context, event)  # type: ignore
