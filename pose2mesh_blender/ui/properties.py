"""Settings: what a user chooses before pressing Animate."""
from __future__ import annotations

from typing import Literal

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

# What operators answer.
Result = set[Literal["RUNNING_MODAL", "CANCELLED", "FINISHED", "PASS_THROUGH", "INTERFACE"]]


class AnimateOptions:
    """Fields that the scene's settings and the operators share; names are those of core's Settings."""

    preset: EnumProperty(
        name="Quality", description="How carefully people are found in the footage",
        items=(("accurate", "Accurate", "Best result"), ("fast", "Fast", "A quick look, less steady")),
        default="accurate")
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
    height: FloatProperty(name="Height", description="Of the person, which sets the scale; 0 estimates it",
                          default=0, min=0, max=3, subtype="DISTANCE", unit="LENGTH")


class Pose2MeshSettings(AnimateOptions, bpy.types.PropertyGroup):
    """Scene.pose2mesh"""

    footage: StringProperty(name="Footage", description="A video, a still image, or a folder of images",
                            subtype="FILE_PATH")
    texture: StringProperty(
        name="Texture", description="Image in SMPL's UV layout for new meshes; empty takes the bundled one",
        subtype="FILE_PATH")
    match_scene: BoolProperty(
        name="Match Scene to Footage",
        description="Give the scene the footage's frame rate, size, frame range and camera when it is animated",
        default=False)


def settings_of(scene: bpy.types.Scene) -> Pose2MeshSettings:
    return scene.pose2mesh  # type: ignore[attr-defined]


def chosen(operator: bpy.types.Operator, settings: Pose2MeshSettings) -> dict:
    """Core's settings: what the operator was called with, and the scene's settings for the rest."""
    def value(name: str):
        return getattr(operator if operator.properties.is_property_set(name) else settings, name)

    options = {name: value(name) for name in AnimateOptions.__annotations__}
    return {**options, "people": options["people"] or None, "end": None if options["end"] < 0 else options["end"],
            "fov": options["fov"] or None, "height": options["height"] or None}
