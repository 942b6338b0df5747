"""SURREAL (Varol et al. 2017, github.com/gulvarol/surreal): SMPL bodies in CMU's motion, rendered.

cmu/train|val|test/run*/NAME/NAME_c0001_info.mat, MATLAB files with pose (72, T), shape (10, T), joints3D (3, 24, T)
metres, camLoc (3, 1), zrot (T, 1), gender; 30 frames a second. Camera, lens and the body's rotation about the vertical
as in that repository's datageneration/misc/smpl_relations/smpl_relations.py.

SURREAL's camera matrix is a reflection: its pictures show mirrored people, which that script's "left/right are swapped"
means. We yield the people in the pictures: rotations mirrored, left and right exchanged. The keypoints are the
projected joints3D. The official validation and test parts are held out, and the CMU people of our benchmark.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...core.skeletons import convert
from ..synthetic import MIRROR, SMPL_FLIP, axis_angle_to_matrix
from .files import DataError, array, field, find, read_mat
from .record import CAMERA_TO_Y_UP, FPS, Clip, View, camera_matrix, local_rotations, plain_betas, turned_root

CURE = "Give SURREAL's folder cmu with its *_info.mat files."
KEYS = ("pose", "shape", "joints3D", "camLoc", "zrot")
HELD_OUT = re.compile(r"/(val|test)/|/(05|13|14|60|61|94|139|140)_[^/]*$")
WIDTH, HEIGHT = 320, 240
FOCAL = 60 * WIDTH / 32  # a lens of 60 mm on a sensor of 32 mm
WORLD_TO_CAMERA = np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 0]], np.float32)  # determinant -1
UPRIGHT = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # a quarter turn about x
NEAREST = 0.1  # metres in front of the camera


def clips(path: Path) -> Iterator[Clip]:
    """One clip per info file, read when it is asked for. Raises DataError."""
    for file in find(path, ("*_info.mat",), "SURREAL's *_info.mat files"):
        yield _clip(file)


def _clip(file: Path) -> Clip:
    content = read_mat(file, KEYS, CURE)
    pose = array(file, "pose", _columns(field(file, content, "pose", cure=CURE)), (72, None), CURE).T
    count = len(pose)
    if not count:
        raise DataError(f"{file} has no frames.", CURE)
    shape = array(file, "shape", _columns(field(file, content, "shape", cure=CURE)), (10, count), CURE).T
    joints = field(file, content, "joints3D", cure=CURE)
    joints = array(file, "joints3D", joints[..., None] if np.ndim(joints) == 2 else joints, (3, 24, count), CURE)
    centre = array(file, "camLoc", field(file, content, "camLoc", cure=CURE), (-1,), CURE)
    yaw = array(file, "zrot", field(file, content, "zrot", cure=CURE), (-1,), CURE)
    if len(centre) != 3 or not len(yaw):
        raise DataError(f"{file}: camLoc and zrot are not a place and an angle.", CURE)
    about = axis_angle_to_matrix(np.array([0, 0, yaw[0]], np.float32))
    local = local_rotations(pose)
    local = turned_root(local, UPRIGHT @ about)  # as posed in SURREAL's world
    local = MIRROR @ local[:, SMPL_FLIP] @ MIRROR
    # The root's mirror image (in x) still is in the world's axes: undo that mirror there, and look through the camera.
    local = turned_root(local, WORLD_TO_CAMERA @ MIRROR)
    points = ((joints.transpose(2, 1, 0) - centre) @ WORLD_TO_CAMERA.T)[:, SMPL_FLIP]
    pixels = points[..., :2] / np.maximum(points[..., 2:], NEAREST) * FOCAL + np.array([WIDTH / 2, HEIGHT / 2])
    inside = (points[..., 2] > NEAREST) & ((pixels >= 0) & (pixels < [WIDTH, HEIGHT])).all(-1)
    keypoints = convert(np.concatenate([pixels, inside[..., None]], -1), "smpl24")
    k = camera_matrix(np.full(2, FOCAL), np.array([WIDTH / 2, HEIGHT / 2]))
    view = View(np.arange(count), np.nan_to_num(keypoints), np.tile(k, (count, 1, 1)), local[:, 0], exact=True)
    held_out = bool(HELD_OUT.search(file.as_posix()))
    return Clip(f"surreal {file.stem}", held_out, turned_root(local, CAMERA_TO_Y_UP), points[:, 0] @ CAMERA_TO_Y_UP.T,
                np.arange(count) / FPS, plain_betas(shape), (view,))


def _columns(value: np.ndarray) -> np.ndarray:
    """MATLAB files of one frame may have lost an axis."""
    return value[:, None] if np.ndim(value) == 1 else value
