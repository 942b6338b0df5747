"""Settings: what a user chooses before pressing Animate."""
from __future__ import annotations

import os
from typing import Any, Literal

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, IntVectorProperty, StringProperty

from ..core.keypoint_files import SUFFIXES
from ..scene import takes

# What operators answer.
Result = set[Literal["RUNNING_MODAL", "CANCELLED", "FINISHED", "PASS_THROUGH", "INTERFACE"]]

QUALITIES = (("accurate", "Accurate", "Best result"), ("fast", "Fast", "A quick look, less steady"))


def active_index(self: Any) -> int:
    """The place of the active person among the objects of its take, -1 for nobody."""
    from .people import active_take

    take, ob = active_take(bpy.context), bpy.context.view_layer.objects.active
    return next((i for i, one in enumerate(take.objects if take else ()) if one == ob), -1)


def activate(self: Any, index: int) -> None:
    """Makes a person of the take active and the only one selected, as a click in the outliner does."""
    from .people import active_take

    take = active_take(bpy.context)
    if take is None or not 0 <= index < len(take.objects) or not takes.is_person(take.objects[index]):
        return
    layer, ob = bpy.context.view_layer, take.objects[index]
    if ob.name not in layer.objects:
        return
    for other in layer.objects.selected:
        other.select_set(False)
    ob.select_set(True)
    layer.objects.active = ob


class AnimateOptions:
    """Fields that the scene's settings and the operators share; names are those of core's Settings."""

    preset: EnumProperty(
        name="Quality", description="How carefully people are found in the footage",
        items=(("default", "As in Preferences", "What the preferences say"), *QUALITIES), default="default")
    people: IntProperty(
        name="People", description="Keep at most this many people, the most prominent ones; 0 keeps everybody",
        default=0, min=0, soft_max=6)
    start: IntProperty(name="First Frame", description="First frame of the footage to use, counted from 0",
                       default=0, min=0)
    end: IntProperty(name="Last Frame", description="Last frame of the footage to use; -1 is the end",
                     default=-1, min=-1)
    step: IntProperty(name="Step", description="Use every n-th frame and blend between", default=1, min=1, soft_max=10)
    fov: FloatProperty(
        name="Field of View", description="Of the real camera, in degrees across the longer side; 0 takes a usual lens",
        default=0, min=0, max=170)
    smooth: FloatProperty(name="Smoothing", description="Take jitter out of the motion; 0 leaves it raw",
                          default=0.5, min=0, max=1, subtype="FACTOR")
    feet: BoolProperty(name="Hold Feet", description="Feet that stand neither slide nor sink", default=True)
    height: FloatProperty(name="Height", description="Of the person, which sets the scale; 0 estimates it",
                          default=0, min=0, max=3, subtype="DISTANCE", unit="LENGTH")
    body: StringProperty(
        name="Body File", description="A SMPL body of your own (.pkl, .npz); empty takes the body of the add-on",
        subtype="FILE_PATH")


class Pose2MeshSettings(AnimateOptions, bpy.types.PropertyGroup):
    """Scene.pose2mesh"""

    footage: StringProperty(name="Footage", description="A video, a still image, or a folder of images",
                            subtype="FILE_PATH")
    lens: EnumProperty(
        name="Lens", description="Whose field of view the camera has",
        items=(("AUTO", "Of the Clip", "As set in the Movie Clip Editor; where nothing is set, a usual lens"),
               ("FOV", "Field of View", "As given here")))
    image_size: IntVectorProperty(
        name="Image Size", description="Of the pictures that the keypoints were found in, in pixels: for keypoint "
                                       "files that do not say it. 0 takes what the file says",
        size=2, default=(0, 0), min=0)
    image_rate: FloatProperty(
        name="Frame Rate", description="Of these pictures; 0 takes what the file says, or 30", default=0, min=0,
        soft_max=120)
    video: StringProperty(
        name="Video", description="That the keypoint file was made from: it is shown behind the mesh, and keypoints "
                                  "can be corrected on it. Empty takes a video of the same name beside the file",
        subtype="FILE_PATH")
    texture: StringProperty(
        name="Texture", description="Image in SMPL's UV layout for new meshes; empty takes the bundled one",
        subtype="FILE_PATH")
    match_scene: BoolProperty(
        name="Match Scene to Footage",
        description="Give the scene the footage's frame rate, size, frame range and camera when it is animated",
        default=False)
    movements: IntProperty(
        name="Movements", description="How many shape keys compact storage uses; more are more exact",
        default=64, min=1, max=512)
    person_index: IntProperty(
        name="Person", description="The active person of the take", get=active_index, set=activate,
        options={"SKIP_SAVE"})


def of_keypoints(settings: Pose2MeshSettings) -> bool:
    """Whether the chosen footage is a file of keypoints, or may be a folder of such."""
    path = bpy.path.abspath(settings.footage)
    return path.lower().endswith(SUFFIXES) or os.path.isdir(path)


def settings_of(scene: bpy.types.Scene) -> Pose2MeshSettings:
    return scene.pose2mesh  # type: ignore[attr-defined]


def preset_of(context: bpy.types.Context) -> str:
    """The scene's quality, or that of the preferences: accurate or fast."""
    from .preferences import quality

    preset = settings_of(context.scene).preset
    return quality(context) if preset == "default" else preset


def chosen(operator: bpy.types.Operator, settings: Pose2MeshSettings) -> dict:
    """Core's settings: what the operator was called with, and the scene's settings for the rest."""
    from .preferences import quality

    def value(name: str):
        return getattr(operator if operator.properties.is_property_set(name) else settings, name)

    options = {name: value(name) for name in AnimateOptions.__annotations__}
    fov = options["fov"] if settings.lens == "FOV" or operator.properties.is_property_set("fov") else 0
    return {**options, "people": options["people"] or None, "end": None if options["end"] < 0 else options["end"],
            "fov": fov or None, "fps": settings.image_rate or None,
            "image_size": list(settings.image_size) if all(settings.image_size) else None,
            "height": options["height"] or None,
            "body": bpy.path.abspath(options["body"]) or None,
            "preset": quality(bpy.context) if options["preset"] == "default" else options["preset"]}
