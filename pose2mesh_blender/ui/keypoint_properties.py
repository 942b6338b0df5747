"""Settings of editing keypoints, and what of them belongs to a person."""
from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty


class PropagateOptions:
    """Fields that the scene's settings and the operator share."""

    before: IntProperty(
        name="Frames Before", description="How many frames before this one a correction is carried", default=8, min=0,
        soft_max=60)
    after: IntProperty(
        name="After", description="How many frames after this one a correction is carried", default=8, min=0,
        soft_max=60)
    falloff: EnumProperty(
        name="Falloff", description="How a correction fades on its way",
        items=(("SMOOTH", "Smooth", "Fade in and out"), ("LINEAR", "Linear", "Fade evenly"),
               ("CONSTANT", "Constant", "Do not fade")))

class Pose2MeshKeypoints(PropagateOptions, bpy.types.PropertyGroup):
    """Scene.pose2mesh_keypoints"""

    overlay_clip: BoolProperty(
        name="On the Footage", description="Draw skeletons over the footage in the Movie Clip Editor", default=True)
    overlay_camera: BoolProperty(
        name="In Camera View", description="Draw skeletons where a 3D viewport looks through the camera of the take",
        default=False)
    extent: EnumProperty(
        name="Frames", description="Which frames Interpolate, Swap and Detect Again work on",
        items=(("FRAME", "This Frame", "The current frame"),
               ("RANGE", "From To", "The frames between first and last"),
               ("PREVIEW", "Playback Range", "The preview range, or the scene's frames when there is none")))
    first: IntProperty(name="First", description="First frame of the range", default=1)
    last: IntProperty(name="Last", description="Last frame of the range", default=1)
    longest: IntProperty(
        name="Longest Gap", description="Gaps of more frames are left, for nobody knows what happened in them",
        default=30, min=1, soft_max=120)


class Pose2MeshPersonKeypoints(bpy.types.PropertyGroup):
    """Object.pose2mesh_keypoints"""

    overlay: BoolProperty(name="Show Skeleton", description="Draw this person's skeleton over the footage",
                          default=True)


CLASSES = (Pose2MeshKeypoints, Pose2MeshPersonKeypoints)


def add() -> None:
    bpy.types.Scene.pose2mesh_keypoints = bpy.props.PointerProperty(type=Pose2MeshKeypoints)  # type: ignore
    bpy.types.Object.pose2mesh_keypoints = bpy.props.PointerProperty(type=Pose2MeshPersonKeypoints)  # type: ignore


def remove() -> None:
    del bpy.types.Scene.pose2mesh_keypoints  # type: ignore[attr-defined]
    del bpy.types.Object.pose2mesh_keypoints  # type: ignore[attr-defined]


def keypoint_settings(scene: bpy.types.Scene) -> Pose2MeshKeypoints:
    return scene.pose2mesh_keypoints  # type: ignore[attr-defined]


def person_settings(ob: bpy.types.Object) -> Pose2MeshPersonKeypoints:
    return ob.pose2mesh_keypoints  # type: ignore[attr-defined]
