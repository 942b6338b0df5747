"""Human3.6M (Ionescu et al. 2014) in the layout of Pose2Mesh and of Moon's works, with SMPL fits.

    annotations/Human36M_subject1_camera.json      {camera: {R (3, 3), t (3) mm, f (2), c (2)}}, x_camera = R x + t
    annotations/Human36M_subject1_joint_3d.json    {action: {subaction: {frame: (17, 3) mm}}}, world, z up
    annotations/Human36M_subject1_smpl_param.json  {action: {subaction: {frame: {pose (72), shape (10), trans (3) m}}}}
        or Human36M_subject1_SMPL_NeuralAnnot.json (github.com/mks0601/NeuralAnnot_RELEASE), the same tables

As read by github.com/hongsukchoi/Pose2Mesh_RELEASE (data/Human36M/dataset.py); its *_data.json lists pictures and is
not needed here. 50 frames a second; subjects 9 and 11 are the test's (protocol 2). The keypoints are projected mocap
joints, of every fifth frame and all four cameras.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...core.skeletons import convert
from .files import DataError, array, field, find, read_json
from .record import Z_UP_TO_Y_UP, Clip, View, camera_matrix, local_rotations, plain_betas, turned_root

CURE = "Give the folder with Human36M_subject*_camera.json, *_joint_3d.json and *_smpl_param.json (docs/training.md)."
FPS = 50.0
PICTURE_STEP = 5
TEST_SUBJECTS = (9, 11)
NEAREST = 100.0  # mm in front of the camera


def clips(path: Path) -> Iterator[Clip]:
    """One clip per subject, action and camera-independent take, subject by subject. Raises DataError."""
    cameras = find(path, ("Human36M_subject*_camera.json",), "Human36M_subject*_camera.json")
    for camera_file in cameras:
        match = re.fullmatch(r"Human36M_subject(\d+)_camera\.json", camera_file.name)
        if not match:
            raise DataError(f"{camera_file} is not named Human36M_subject*_camera.json.", CURE)
        yield from _subject(camera_file, int(match[1]))


def _subject(camera_file: Path, subject: int) -> Iterator[Clip]:
    def beside(*ends: str) -> Path:
        names = [camera_file.with_name(f"Human36M_subject{subject}_{end}.json") for end in ends]
        found = next((name for name in names if name.is_file()), None)
        if found is None:
            raise DataError(f"Beside {camera_file} there is no {' or '.join(n.name for n in names)}.", CURE)
        return found

    fit_file, joint_file = beside("smpl_param", "SMPL_NeuralAnnot"), beside("joint_3d")
    cameras = [_camera(camera_file, name, table) for name, table in read_json(camera_file, CURE).items()]
    fits, joints = read_json(fit_file, CURE), read_json(joint_file, CURE)
    for action in fits:
        for take in field(fit_file, fits, action, cure=CURE) or ():
            frames = field(fit_file, fits, action, take, cure=CURE)
            if not isinstance(frames, dict) or not all(key.isdigit() for key in frames):
                raise DataError(f"{fit_file}: “{action}/{take}” is no table of frames.", CURE)
            if not frames:
                continue
            keys = sorted(frames, key=int)
            local = local_rotations(_stacked(fit_file, frames, keys, "pose", 72))
            number = np.array([int(key) for key in keys])
            found = field(joint_file, joints, action, take, cure=CURE)
            seen = np.array([i for i in np.flatnonzero(number % PICTURE_STEP == 0) if keys[i] in found], int)
            world = array(joint_file, f"joints of {action}/{take}",
                          [found[keys[i]] for i in seen] or np.zeros((0, 17, 3)), (len(seen), 17, 3), CURE)
            yield Clip(f"h36m S{subject} {action}/{take}", subject in TEST_SUBJECTS, turned_root(local, Z_UP_TO_Y_UP),
                       _stacked(fit_file, frames, keys, "trans", 3) @ Z_UP_TO_Y_UP.T, number / FPS,
                       plain_betas(_stacked(fit_file, frames, keys, "shape", 10)),
                       tuple(_view(seen, world, local, *camera) for camera in cameras if len(seen)))


def _stacked(file: Path, frames: dict, keys: list[str], what: str, size: int) -> np.ndarray:
    return array(file, what, [field(file, frames, frame, what, cure=CURE) for frame in keys], (len(keys), size), CURE)


def _camera(file: Path, name: str, table: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sizes = {"R": (3, 3), "t": (3,), "f": (2,), "c": (2,)}
    r, t, f, c = (array(file, f"{key} of camera {name}", field(file, table, key, cure=CURE), sizes[key], CURE)
                  for key in sizes)
    return r, t, camera_matrix(f, c)


def _view(seen: np.ndarray, world: np.ndarray, local: np.ndarray, r: np.ndarray, t: np.ndarray, k: np.ndarray) -> View:
    points = world @ r.T + t
    pixels = points[..., :2] / np.maximum(points[..., 2:], NEAREST) * np.diag(k)[:2] + k[:2, 2]
    there = (points[..., 2:] > NEAREST).astype(np.float32)
    keypoints = convert(np.concatenate([pixels, there], -1), "h36m17")
    return View(seen, keypoints, np.tile(k, (len(seen), 1, 1)), r @ local[seen, 0], exact=True)
