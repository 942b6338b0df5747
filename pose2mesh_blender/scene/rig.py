"""A fitted skeleton as Blender data: an armature with an action, and a mesh that it deforms."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core.conventions import Motion, Skeleton, coarsest_step, convention, motion_of, skeleton_of
from ..core.errors import ExportError
from ..core.pca import Pca, correctives
from ..core.presets import ExportOptions, Preset
from ..core.rig import Distances, Rig, distances, fit_rig
from ..core.twist import with_twist_bones
from . import compat, takes
from .sampling import Z_UP, world_points

RIG = "pose2mesh_rig"  # of an armature: the preset that named its bones
ERROR = "pose2mesh_rig_error"  # of an armature: mean distance to the shape-key mesh, millimetres
GROUP = 1e-4  # smallest weight that is kept in a vertex group


@dataclass(frozen=True)
class Fitted:
    """A person as a skinned character; frames are the scene's."""

    frames: np.ndarray  # (N,) evenly spaced scene frames
    rig: Rig
    skeleton: Skeleton
    motion: Motion
    shapes: Pca | None  # correctives
    distances: Distances  # to the shape-key mesh, correctives included


def fit_person(ob: bpy.types.Object, preset: Preset, options: ExportOptions, frames: np.ndarray) -> Fitted:
    """Fit a skeleton to a person's mesh as it is in the world at scene frames (N,), which are evenly spaced.

    options.step and .simplify thin the frames. Raises ExportError.
    """
    points = world_points(ob, frames)
    names = convention(preset.names)
    rig = fit_rig(points, pose=preset.pose)
    if names.twists:
        rig = with_twist_bones(rig)
    skeleton = skeleton_of(rig, names)
    motion = motion_of(rig, skeleton, options.in_place)
    if options.simplify > 0:
        step = coarsest_step(rig, options.simplify)
        frames, points, rig = frames[::step], points[::step], rig.part(slice(None, None, step))
        motion = motion_of(rig, skeleton, options.in_place)
    found = distances(rig, points)
    shapes = None
    if options.correctives > 0 and found.mean.mean() > options.correctives:
        shapes = correctives(rig, points, options.correctives)
        found = shapes.error
    return Fitted(frames, rig, skeleton, motion, shapes, found)


def bake(ob: bpy.types.Object, preset: Preset, options: ExportOptions, frames: np.ndarray) -> bpy.types.Object:
    """Puts an armature with a skinned copy of the person beside it, and returns the armature. Raises ExportError.

    The shape-key mesh stays as it is; the new mesh shares its material.
    """
    fitted = fit_person(ob, preset, options, frames)
    made: list[bpy.types.ID] = []
    try:
        armature, _ = build(fitted, ob, f"{ob.name} Rig", ob.users_collection, fitted.frames, made=made)
    except BaseException:
        bpy.data.batch_remove(made)
        raise
    armature[RIG], armature[takes.FPS] = preset.name, ob.get(takes.FPS, 0.0)
    armature[ERROR] = float(fitted.distances.mean.mean())
    return armature


def build(fitted: Fitted, ob: bpy.types.Object, name: str, collections: Sequence[bpy.types.Collection],
          frames: np.ndarray, *, axes: np.ndarray = Z_UP, unit: float = 1.0, mesh_name: str = "",
          made: list[bpy.types.ID] | None = None) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Armature and skinned mesh of a fitted person, keyed at `frames` (N,).

    axes: (3, 3) from core's y-up to the data's; unit: how many of the data's units are a metre. What is made is added
    to `made` at once.
    """
    made = [] if made is None else made
    armature = _armature(fitted.skeleton, name, collections, axes, unit, made)
    mesh = _mesh(fitted, ob, mesh_name or f"{name} Mesh", collections, axes, unit, made)
    mesh.parent = armature
    modifier: Any = mesh.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    _animate(armature, fitted, frames, unit, made)
    if fitted.shapes:
        _correct(mesh, fitted.shapes, frames, axes, unit, made)
    return armature, mesh


def _armature(skeleton: Skeleton, name: str, collections: Sequence[bpy.types.Collection], axes: np.ndarray,
              unit: float, made: list[bpy.types.ID]) -> bpy.types.Object:
    data = bpy.data.armatures.new(name)
    made.append(data)
    armature = bpy.data.objects.new(name, data)
    made.append(armature)
    # Bones are made in edit mode, which needs a view layer; a scene of its own leaves the user's mode and selection.
    scene = bpy.data.scenes.new("~bones")
    try:
        scene.collection.objects.link(armature)
        layer = scene.view_layers[0]
        layer.objects.active = armature
        override: Any = bpy.context.temp_override(scene=scene, view_layer=layer, active_object=armature,
                                                  object=armature)
        with override:
            bpy.ops.object.mode_set(mode="EDIT")
            bones: list[bpy.types.EditBone] = []
            for bone, parent in enumerate(skeleton.parents):
                made_bone = data.edit_bones.new(skeleton.names[bone])
                made_bone.tail = (0, max(float(skeleton.lengths[bone]), 0.01) * unit, 0)
                place = np.eye(4)
                place[:3, :3] = axes @ skeleton.axes[bone]
                place[:3, 3] = axes @ skeleton.heads[bone] * unit
                made_bone.matrix = Matrix(place.tolist())
                made_bone.parent = bones[parent] if parent >= 0 else None
                made_bone.use_deform = bool(skeleton.weighted[bone])
                bones.append(made_bone)
            bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        bpy.data.scenes.remove(scene)
    for collection in collections:
        collection.objects.link(armature)
    return armature


def _mesh(fitted: Fitted, ob: bpy.types.Object, name: str, collections: Sequence[bpy.types.Collection],
          axes: np.ndarray, unit: float, made: list[bpy.types.ID]) -> bpy.types.Object:
    """The person's mesh at rest, with its UVs and materials, and a vertex group per bone."""
    data = bpy.data.meshes.new_from_object(ob, preserve_all_data_layers=True)  # without shape keys
    made.append(data)
    data.name = name
    mesh = bpy.data.objects.new(name, data)
    made.append(mesh)
    rest = np.ascontiguousarray(fitted.rig.rest @ axes.T * unit, np.float32)
    position: Any = mesh.data.attributes["position"]
    position.data.foreach_set("vector", rest.ravel())
    mesh.data.update()
    for bone in np.flatnonzero(fitted.skeleton.weighted):
        weights = fitted.rig.weights[:, fitted.skeleton.joints[bone]]
        group = mesh.vertex_groups.new(name=fitted.skeleton.names[bone])
        for vertex in np.flatnonzero(weights > GROUP).tolist():
            group.add([vertex], float(weights[vertex]), "REPLACE")
    for collection in collections:
        collection.objects.link(mesh)
    return mesh


def _animate(armature: bpy.types.Object, fitted: Fitted, frames: np.ndarray, unit: float,
             made: list[bpy.types.ID]) -> None:
    bag = compat.new_action(armature, armature.name)
    made.append(armature.animation_data.action)
    skeleton, motion = fitted.skeleton, fitted.motion
    for bone, place in ((0, motion.root), (1, motion.pelvis)):
        place = place @ skeleton.axes[bone] * unit  # in the bone's own axes
        for axis in range(3):
            compat.add_curve(bag, f'pose.bones["{skeleton.names[bone]}"].location', frames, place[:, axis], index=axis)
    for bone in np.flatnonzero(skeleton.weighted):
        path = f'pose.bones["{skeleton.names[bone]}"].rotation_quaternion'
        for axis in range(4):
            compat.add_curve(bag, path, frames, motion.rotations[:, bone, axis], index=axis)


def _correct(mesh: bpy.types.Object, shapes: Pca, frames: np.ndarray, axes: np.ndarray, unit: float,
             made: list[bpy.types.ID]) -> None:
    base = (shapes.base @ axes.T * unit).astype(np.float32)
    position: Any = mesh.data.attributes["position"]
    position.data.foreach_set("vector", base.ravel())
    mesh.shape_key_add(name="Basis")
    for number, shape in enumerate(shapes.shapes, 1):
        block = mesh.shape_key_add(name=f"corrective_{number:02d}", from_mix=False)
        block.points.foreach_set("co", (base + (shape @ axes.T * unit).astype(np.float32)).ravel())
    key = mesh.data.shape_keys
    key.name = mesh.data.name
    bag = compat.new_action(key, mesh.name)
    made.append(key.animation_data.action)
    for number in range(1, len(shapes.shapes) + 1):
        compat.add_curve(bag, f'key_blocks["corrective_{number:02d}"].value', frames, shapes.weights[:, number - 1])


def frames_of(first: float, last: float, options: ExportOptions) -> np.ndarray:
    """Whole scene frames to take; first, last: of the animation. Raises ExportError for an empty range."""
    low = int(np.ceil(first)) if options.first is None else max(options.first, int(np.ceil(first)))
    high = int(np.ceil(last)) if options.last is None else min(options.last, int(np.ceil(last)))
    if high < low or options.step < 1:
        raise ExportError(f"There is no frame to export from {low} to {high} in steps of {options.step}.",
                          f"Choose frames between {int(np.ceil(first))} and {int(np.ceil(last))}.")
    return np.arange(low, high + 1, options.step)


def is_rig(ob: bpy.types.Object | None) -> bool:
    return bool(ob) and ob.type == "ARMATURE" and ob.get(RIG) is not None


