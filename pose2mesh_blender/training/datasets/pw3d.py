"""3DPW (von Marcard et al. 2018, virtualhumans.mpi-inf.mpg.de/3DPW): people outdoors, with a moving camera.

sequenceFiles/train|validation|test/NAME.pkl, pickles of Python 2 with one table: per actor (lists) poses (N, 72), trans
(N, 3), betas (10), poses2d (N, 3, 18) as OpenPose found them (its COCO order of 18, zeros = not found), campose_valid
(N,); and cam_poses (N, 4, 4) world to camera, cam_intrinsics (3, 3). 30 frames a second. Fields as in the dataset's
readme.txt and mmhuman3d's converter pw3d.py; read with core/smpl_file.py's restricted unpickler. Validation and test
sequences are held out.

Which way is up is not documented: it is the world axis (either sense) nearest to the trunks of the sequence on average.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...core.skeletons import BODY23
from .files import DataError, array, field, find, read_pickle
from .record import FPS, Clip, View, local_rotations, plain_betas, turned_root

CURE = "Give 3DPW's folder sequenceFiles with its .pkl files."
OPENPOSE18 = ("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
              "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
              "right_eye", "left_eye", "right_ear", "left_ear")
OURS = [OPENPOSE18.index(name) for name in BODY23[:17]]
FEWEST = 6  # keypoints
TEST = ("validation", "test")


def clips(path: Path) -> Iterator[Clip]:
    """One clip per sequence and actor, sequence by sequence. Raises DataError."""
    for file in find(path, ("*.pkl",), "3DPW's sequenceFiles"):
        content = read_pickle(file, CURE)
        k = array(file, "cam_intrinsics", field(file, content, "cam_intrinsics", cure=CURE), (3, 3), CURE)
        cameras = array(file, "cam_poses", field(file, content, "cam_poses", cure=CURE), (None, 4, 4), CURE)[:, :3, :3]
        actors = []
        for actor, poses in enumerate(_per_actor(file, content, "poses")):
            if len(np.atleast_2d(poses)) == 0:
                continue
            local = local_rotations(array(file, f"poses of actor {actor}", poses, (len(cameras), 72), CURE))
            actors.append((actor, local))
        if not actors:
            raise DataError(f"{file} has no poses.", CURE)
        up = upright(np.concatenate([local[:, 0, :, 1] for _, local in actors]))
        for actor, local in actors:
            yield _clip(file, content, actor, local, cameras, k, up)


def _clip(file: Path, content: dict[str, Any], actor: int, local: np.ndarray, cameras: np.ndarray, k: np.ndarray,
          up: np.ndarray) -> Clip:
    count = len(local)

    def of_actor(key: str, shape: tuple[int | None, ...]) -> np.ndarray:
        values = _per_actor(file, content, key)
        if actor >= len(values):
            raise DataError(f"{file}: {key} lacks actor {actor}.", CURE)
        return array(file, f"{key} of actor {actor}", values[actor], shape, CURE)

    found = of_actor("poses2d", (count, 3, 18)).transpose(0, 2, 1)
    keypoints = np.zeros((count, 23, 3), np.float32)
    keypoints[:, :17] = found[:, OURS]
    good = (of_actor("campose_valid", (count,)) > 0) & ((keypoints[..., 2] > 0).sum(1) >= FEWEST)
    seen = np.flatnonzero(good)
    view = View(seen, keypoints[seen], np.tile(k, (len(seen), 1, 1)), cameras[seen] @ local[seen, 0], exact=False)
    betas = np.repeat(of_actor("betas", (-1,))[None, :10], count, 0)
    return Clip(f"3dpw {file.stem} actor {actor}", file.parent.name in TEST, turned_root(local, up),
                of_actor("trans", (count, 3)) @ up.T, np.arange(count) / FPS, plain_betas(betas),
                (view,) if len(seen) else ())


def upright(trunks: np.ndarray) -> np.ndarray:
    """(N, 3) directions of trunks -> the rotation (3, 3) that takes the world axis nearest to their mean to +y."""
    mean = trunks.mean(0)
    axis = int(np.abs(mean).argmax())
    up = np.zeros(3, np.float32)
    up[axis] = np.sign(mean[axis]) or 1
    side = np.roll(np.abs(up), 1)
    return np.stack([side, up, np.cross(side, up)]).astype(np.float32)


def _per_actor(file: Path, content: dict[str, Any], key: str) -> list:
    values = field(file, content, key, cure=CURE)
    if not isinstance(values, list | tuple | np.ndarray):
        raise DataError(f"{file}: {key} is no list of actors.", CURE)
    return list(values)
