"""Where a take stands in the scene and how large its people are, without touching the take.

The take says where everybody is in front of the camera. The collection says where the camera is: as the take knows it,
on another ground, or on the path of the clip's own reconstruction; each person has a factor on body and path. All of it
lives in custom properties, so that undo takes it back, and can be changed at any time: keys and curves follow in place.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from . import compat
from .camera import BLENDER_FROM_OPENCV

WORLD = "pose2mesh_world"  # of a collection: 16 numbers, world from camera as the take has it
GROUND = "pose2mesh_ground"  # of a collection: 16 numbers, the ground's place; absent = z 0
BASIS = "pose2mesh_basis"  # of a collection with a moving camera: 16 numbers, where its reconstruction lies
SCALE = "pose2mesh_scale"  # of a person: factor on body and path; of a collection: on the camera's height


@dataclass(frozen=True)
class Placing:
    """worlds: (T, 4, 4) or (1, 4, 4) scene from camera space, of every row or of all; scale: of the person."""

    worlds: np.ndarray
    scale: float = 1.0

    def turn(self, row: int) -> np.ndarray:
        """(3, 3) float32: what takes a vertex from the take to the object's space."""
        return (self.scale * self.worlds[row if len(self.worlds) > 1 else 0, :3, :3]).astype(np.float32)

    def places(self, rows: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """translation (N, 3) in front of the camera in these rows -> (N, 3) in the scene."""
        worlds = self.worlds[rows] if len(self.worlds) > 1 else self.worlds
        return (np.einsum("nij,nj->ni", np.broadcast_to(worlds[:, :3, :3], (len(rows), 3, 3)), self.scale * translation)
                + worlds[:, :3, 3])


def matrix_of(owner: bpy.types.ID, name: str) -> np.ndarray | None:
    """(4, 4) of a custom property, None where there is none."""
    values = owner.get(name)
    return None if values is None else np.array(values, np.float64).reshape(4, 4)


def scale_of(owner: bpy.types.ID) -> float:
    return float(owner.get(SCALE, 1.0))


def ground_of(collection: bpy.types.Collection) -> np.ndarray:
    """(4, 4) where the ground's plane lies; the identity is z = 0."""
    ground = matrix_of(collection, GROUND)
    return np.eye(4) if ground is None else ground


def worlds_of(collection: bpy.types.Collection, base: np.ndarray | None, clip: bpy.types.MovieClip | None,
              frames: np.ndarray) -> np.ndarray:
    """(N, 4, 4) or (1, 4, 4): scene from camera space, at scene frames (N,).

    base: (4, 4) as the take has it, where the collection does not say it (of an older file). clip: whose
    reconstruction moves the camera, where the collection has one.
    """
    ground, basis = ground_of(collection), matrix_of(collection, BASIS)
    if basis is not None and clip:
        return ground @ basis @ camera_path(clip, frames) @ BLENDER_FROM_OPENCV
    stored = matrix_of(collection, WORLD)
    world = np.array(stored if stored is not None else np.eye(4) if base is None else base)
    world[:3, 3] *= scale_of(collection)
    return (ground @ world)[None]


def camera_path(clip: bpy.types.MovieClip, frames: np.ndarray) -> np.ndarray:
    """(N, 4, 4) the reconstructed camera at scene frames (N,), in the reconstruction's space; the nearest where it
    was not solved."""
    cameras = clip.tracking.objects[0].reconstruction.cameras
    known = np.array([camera.frame for camera in cameras])
    matrices = np.array([np.array(camera.matrix) for camera in cameras])
    wanted = np.asarray(frames, float) - clip.frame_start + 1
    high = np.clip(np.searchsorted(known, wanted), 0, len(known) - 1)
    low = np.maximum(high - 1, 0)
    nearest = np.where(np.abs(known[low] - wanted) <= np.abs(known[high] - wanted), low, high)
    return matrices[nearest]


def has_reconstruction(clip: bpy.types.MovieClip | None) -> bool:
    return bool(clip and len(clip.tracking.objects) and clip.tracking.objects[0].reconstruction.is_valid
                and len(clip.tracking.objects[0].reconstruction.cameras))


@contextmanager
def rearranged(collection: bpy.types.Collection, people: Sequence[bpy.types.Object],
               camera: bpy.types.Object | None, clip: bpy.types.MovieClip | None) -> Iterator[None]:
    """Whatever changes in the collection's ground and in scales inside, keys, curves and the camera follow."""
    frames = {ob: _frames(ob) for ob in people}
    before = {ob: worlds_of(collection, None, clip, frames[ob]) for ob in people}
    scales = {ob: scale_of(ob) for ob in people}
    seen = worlds_of(collection, None, clip, np.zeros(1))[0]
    if matrix_of(collection, BASIS) is not None:
        seen = ground_of(collection)
    yield
    for ob in people:
        after = worlds_of(collection, None, clip, frames[ob])
        _move(ob, frames[ob], before[ob], after, scale_of(ob) / scales[ob])
    if camera:
        moving = matrix_of(collection, BASIS) is not None
        now = ground_of(collection) if moving else worlds_of(collection, None, clip, np.zeros(1))[0]
        change = Matrix((now @ np.linalg.inv(seen)).tolist())
        camera.matrix_basis = change @ camera.matrix_basis


def _frames(ob: bpy.types.Object) -> np.ndarray:
    """(N,) all frames with a key on the person's location."""
    points = [compat.key_frames(c)[:, 0] for axis in range(3) if (c := compat.find_curve(ob, "location", axis))]
    return np.unique(np.concatenate(points)) if points else np.zeros(1)


def _move(ob: bpy.types.Object, frames: np.ndarray, before: np.ndarray, after: np.ndarray, ratio: float) -> None:
    turn = after[0, :3, :3] @ before[0, :3, :3].T * ratio
    if np.abs(turn - np.eye(3)).max() > 1e-7:
        _turn_mesh(ob, turn.astype(np.float32))
    path = np.linalg.inv(before)
    path[:, :3] *= ratio
    path = np.broadcast_to(after @ path, (len(frames), 4, 4))
    curves = [compat.find_curve(ob, "location", axis) for axis in range(3)]
    places = np.column_stack([compat.sample(c, frames) if c else np.full(len(frames), ob.location[axis])
                              for axis, c in enumerate(curves)])
    moved = np.einsum("nij,nj->ni", path[:, :3, :3], places) + path[:, :3, 3]
    for axis, curve in enumerate(curves):
        if curve is None:
            ob.location[axis] = moved[0, axis]
            continue
        at = compat.key_frames(curve)
        compat.set_values(curve, np.interp(at[:, 0], frames, moved[:, axis]))
    ob.update_tag(refresh={"OBJECT", "TIME"})


def _turn_mesh(ob: bpy.types.Object, turn: np.ndarray) -> None:
    """turn (3, 3) on the mesh and all its shape keys, in whatever way they are stored."""
    keys = ob.data.shape_keys
    flat = np.empty(3 * len(ob.data.vertices), np.float32)
    position = ob.data.attributes["position"].data
    for points, name in [(position, "vector"), *((block.points, "co") for block in (keys.key_blocks if keys else ()))]:
        points.foreach_get(name, flat)
        points.foreach_set(name, (flat.reshape(-1, 3) @ turn.T).ravel())
    if keys:
        keys.update_tag()
    ob.data.update_tag()
    ob.update_tag(refresh={"DATA"})
