"""A person's motion on a humanoid armature of the user's own, as keys."""
from __future__ import annotations

import bpy
import numpy as np

from ..core.errors import ExportError
from ..core.retarget import guess_bones, retarget
from ..core.rig import fit_rig
from ..core.skeletons import SMPL24
from . import compat
from .sampling import Z_UP, world_points

NEEDED = ("pelvis", "left_hip", "right_hip")


def bones_of(armature: bpy.types.Object) -> dict[str, str]:
    """Joint (smpl24 name) -> bone that its name speaks for."""
    return guess_bones([bone.name for bone in armature.data.bones])


def transfer(ob: bpy.types.Object, armature: bpy.types.Object, bones: dict[str, str], frames: np.ndarray) -> None:
    """Give the armature a new action with a person's motion at scene frames (N,); its old action is kept in the file.

    bones: joint (smpl24 name) -> bone; those that are missing keep their rest pose. Raises ExportError.
    """
    data = armature.data.bones
    lost = [bone for bone in bones.values() if bone not in data]
    if lost:
        raise ExportError(f"{armature.name} has no bone {lost[0]}.", "Choose another bone, or leave it empty.")
    missing = [joint for joint in NEEDED if joint not in bones]
    if missing or not {"neck", "head", "spine3", "spine2", "spine1"} & set(bones):
        raise ExportError(f"{armature.name}: no bone is given for {(missing or ['the spine'])[0].replace('_', ' ')}.",
                          "Choose bones for pelvis, both hips and the spine at least.")
    numbers = {bone.name: i for i, bone in enumerate(data)}  # parents come first
    rest = np.array([bone.matrix_local for bone in data])
    parents = np.array([numbers[bone.parent.name] if bone.parent else -1 for bone in data])
    place = armature.matrix_world
    turn = np.array(place.to_quaternion().to_matrix())
    unit = 1 / float(np.mean(np.array(place.to_scale())))
    rig = fit_rig(world_points(ob, frames))
    shift = turn.T @ np.array(place.translation)
    found = retarget(rig, turn.T @ Z_UP, rest, parents,
                     {SMPL24.index(joint): numbers[bone] for joint, bone in bones.items()}, unit)
    animation = armature.animation_data
    if animation and animation.action:
        animation.action.use_fake_user = True
    bag = compat.new_action(armature, f"{armature.name} {ob.name}")
    for column, number in enumerate(found.bones):
        bone = armature.pose.bones[int(number)]
        bone.rotation_mode = "QUATERNION"
        path = f'pose.bones["{bone.name}"]'
        for axis in range(4):
            compat.add_curve(bag, f"{path}.rotation_quaternion", frames, found.rotations[:, column, axis], index=axis)
        if column == 0:
            location = found.location - unit * shift @ rest[number, :3, :3]
            for axis in range(3):
                compat.add_curve(bag, f"{path}.location", frames, location[:, axis], index=axis)
