"""The ground under a take, the size of its people, and a camera that moves. See placing.py."""
from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Matrix

from ..core.errors import TakeError
from ..core.take import Take
from . import corrected, placing, takes

OWN = "pose2mesh_own_height"  # of a person: the height was given by hand
FLOOR = "pose2mesh_floor"  # of a collection: 16 numbers, the plane that the ground was aligned to
SOLVED = "pose2mesh_solved_camera"  # of a constraint that we made


def height_of(ob: bpy.types.Object) -> float:
    """Metres from sole to crown, as the person stands in the scene; 0 for a person of an older file."""
    return float(ob.get(takes.HEIGHT, 0.0)) * placing.scale_of(ob)


def set_height(ob: bpy.types.Object, metres: float | None) -> None:
    """Gives a person this height, body and path alike; None: as it was solved.

    One view cannot tell a small person nearby from a tall one far away: people whose height nobody gave are scaled
    along, and so is the camera's height above the ground when the first person is.
    """
    natural, collection = float(ob.get(takes.HEIGHT, 0.0)), takes.collection_of(ob)
    if natural <= 0 or collection is None:
        return
    people = takes.people_of(collection)
    scale = metres / natural if metres else 1.0
    with placing.rearranged(collection, people, takes.take_camera(collection), takes.clip_of(collection)):
        ratio = scale / placing.scale_of(ob)
        ob[OWN] = bool(metres)
        for other in people:
            if other == ob or not other.get(OWN):
                other[placing.SCALE] = placing.scale_of(other) * ratio
        collection[placing.SCALE] = placing.scale_of(people[0])


def set_ground(collection: bpy.types.Collection, offset: float, tilt: tuple[float, float, float]) -> None:
    """Moves a take so that its ground lies `offset` metres above the floor, turned by `tilt` (radians about x, y, z).

    The floor is z = 0, or the plane of `align`.
    """
    floor = placing.matrix_of(collection, FLOOR)
    here = Matrix.Translation((0, 0, offset)) @ Euler(tilt).to_matrix().to_4x4()
    _change(collection, (np.eye(4) if floor is None else floor) @ np.array(here))


def align(collection: bpy.types.Collection, floor: bpy.types.Object | None) -> None:
    """The ground becomes the plane of an object: its origin, with its z axis up. None: z = 0 again, from the feet."""
    before, ground = placing.matrix_of(collection, FLOOR), placing.ground_of(collection)
    correction = ground if before is None else np.linalg.inv(before) @ ground
    plane = np.eye(4)
    if floor is None:
        if collection.get(FLOOR) is not None:
            del collection[FLOOR]
    else:
        place, turn, _ = floor.matrix_world.decompose()
        plane = np.array(Matrix.Translation(place) @ turn.to_matrix().to_4x4())
        collection[FLOOR] = plane.ravel().tolist()
    _change(collection, plane @ correction)


def use_solved_camera(collection: bpy.types.Collection, moving: bool) -> None:
    """The people walk where the clip's reconstruction says the camera went, or before a camera that stands still.

    The reconstruction is placed and scaled as the scene's camera that follows the clip is, when there is one: Blender's
    Set Scale and Set Origin work there. Raises TakeError when the clip has no reconstruction or the take is gone.
    """
    clip, camera = takes.clip_of(collection), takes.take_camera(collection)
    if moving and not placing.has_reconstruction(clip):
        raise TakeError(f"{collection.name}: the clip has no solved camera.",
                        "Track the background in the Movie Clip Editor and press Solve Camera Motion.")
    with Take.open(collection[takes.TAKE]) as take:
        if moving:
            collection[placing.BASIS] = _basis(clip).ravel().tolist()
        elif is_moving(collection):
            del collection[placing.BASIS]
        for ob in takes.people_of(collection):
            corrected.update(collection, ob, take)
        if camera is None:
            return
        for constraint in [c for c in camera.constraints if c.name == SOLVED]:
            camera.constraints.remove(constraint)
        if moving:
            follow: Any = camera.constraints.new("CAMERA_SOLVER")
            follow.name, follow.use_active_clip, follow.clip = SOLVED, False, clip
            camera.matrix_basis = Matrix((placing.ground_of(collection) @ _basis(clip)).tolist())
        else:
            world = placing.worlds_of(collection, take.world_from_camera, clip, np.zeros(1))[0]
            camera.matrix_basis = Matrix((world @ placing.BLENDER_FROM_OPENCV).tolist())


def is_moving(collection: bpy.types.Collection) -> bool:
    return collection.get(placing.BASIS) is not None


def _basis(clip: bpy.types.MovieClip) -> np.ndarray:
    """(4, 4) where the scene has the clip's reconstruction: by a camera of the user's that follows it."""
    for ob in bpy.context.scene.objects:
        constraints: Any = ob.constraints
        for constraint in constraints:
            if constraint.type == "CAMERA_SOLVER" and constraint.name != SOLVED and \
                    (constraint.clip == clip or (constraint.use_active_clip and bpy.context.scene.active_clip == clip)):
                parent = ob.parent.matrix_world @ ob.matrix_parent_inverse if ob.parent else Matrix()
                return np.array(parent @ ob.matrix_basis)
    return np.eye(4)


def _change(collection: bpy.types.Collection, ground: np.ndarray) -> None:
    people = takes.people_of(collection)
    with placing.rearranged(collection, people, takes.take_camera(collection), takes.clip_of(collection)):
        collection[placing.GROUND] = ground.ravel().tolist()
