"""What a person and a take have beyond Blender's own: name, height, smoothing, solving; ground."""
from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, StringProperty

from ..scene import ground, refresh, takes, tracks
from . import roster, smoothing


def _name(self: Any) -> str:
    """Without the take's name, which stands over the list and would fill its rows."""
    ob = self.id_data
    collection = takes.collection_of(ob)
    return ob.name.removeprefix(f"{collection.name} ") if collection else ob.name


def _set_name(self: Any, name: str) -> None:
    """The object, its mesh, its keypoints on the clip and the person in the take have one name."""
    ob, name = self.id_data, name.strip()
    if name in ("", ob.name, _name(self)):
        return
    collection = takes.collection_of(ob)
    ob.name = name
    ob.data.name = ob.name
    clip = takes.clip_of(collection) if collection else None
    tracked = tracks.find(clip, str(collection[takes.TAKE]), int(ob[takes.PERSON])) if clip else None
    if tracked is not None:
        tracks.rename(clip, tracked.name, ob.name)
    if collection:
        roster.rename(collection, ob)


def _solved(self: Any) -> bool:
    collection = takes.collection_of(self.id_data)
    return not collection or int(self.id_data[takes.PERSON]) not in refresh.off_in(collection)


def _set_shown(self: Any, shown: bool) -> None:
    ob = self.id_data
    bpy.context.view_layer.update()  # Blender 5 learns of new objects only then
    if ob.name in bpy.context.view_layer.objects:
        ob.hide_set(not shown)


def _shown(self: Any) -> bool:
    ob = self.id_data
    return ob.name in bpy.context.view_layer.objects and not ob.hide_get()


def _set_solved(self: Any, on: bool) -> None:
    roster.switch(self.id_data, on)


def _set_smooth(self: Any, context: Any) -> None:
    smoothing.want(self.id_data)


def _height(self: Any) -> float:
    return 100 * ground.height_of(self.id_data)


def _set_height(self: Any, centimetres: float) -> None:
    ground.set_height(self.id_data, centimetres / 100 if centimetres > 0 else None)


def _set_ground(self: Any, context: Any) -> None:
    ground.set_ground(self.id_data, self.offset, tuple(self.tilt))


class Pose2MeshPerson(bpy.types.PropertyGroup):
    """Object.pose2mesh"""

    title: StringProperty(name="Name", description="Of the person, its mesh and its keypoints",
                          get=_name, set=_set_name)
    height: FloatProperty(
        name="Height", description="Of the body in centimetres. Body and path are scaled, the picture stays; people "
                                   "without a height of their own are scaled along",
        get=_height, set=_set_height, min=0, soft_min=100, soft_max=220,
        precision=1, step=50)
    smooth: FloatProperty(
        name="Smoothing", description="Take jitter out of this person's motion; 0 leaves it raw. The raw motion is "
                                      "never lost",
        default=0.5, min=0, max=1, subtype="FACTOR", update=_set_smooth)
    lock_shape: BoolProperty(
        name="Lock Body Shape",
        description="One body shape for the whole take. Unlocked, the shape follows each frame, smoothed over time: "
                    "for a take in which the shape is seen better later. People who are half visible may seem to "
                    "breathe",
        default=True, update=_set_smooth)
    solve: BoolProperty(
        name="Solve", description="Whether corrections and Solve Again change this person",
        get=_solved, set=_set_solved)
    show: BoolProperty(name="Show", description="Whether this person is seen in the viewport", get=_shown,
                       set=_set_shown)


class Pose2MeshTake(bpy.types.PropertyGroup):
    """Collection.pose2mesh"""

    offset: FloatProperty(
        name="Offset", description="How far the ground of the take lies above the floor", subtype="DISTANCE",
        unit="LENGTH", soft_min=-2, soft_max=2, update=_set_ground)
    tilt: FloatVectorProperty(
        name="Tilt", description="Turns the take where the camera was not level, or where another axis is up",
        subtype="EULER", unit="ROTATION", size=3, update=_set_ground)


CLASSES = (Pose2MeshPerson, Pose2MeshTake)


def add() -> None:
    bpy.types.Object.pose2mesh = bpy.props.PointerProperty(type=Pose2MeshPerson)  # type: ignore
    bpy.types.Collection.pose2mesh = bpy.props.PointerProperty(type=Pose2MeshTake)  # type: ignore


def remove() -> None:
    del bpy.types.Object.pose2mesh, bpy.types.Collection.pose2mesh  # type: ignore[attr-defined]


def person(ob: bpy.types.Object) -> Any:
    return ob.pose2mesh  # type: ignore[attr-defined]


def take_settings(collection: bpy.types.Collection) -> Any:
    return collection.pose2mesh  # type: ignore[attr-defined]
