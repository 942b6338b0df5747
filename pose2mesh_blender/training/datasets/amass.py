"""AMASS (Mahmood et al. 2019, amass.is.tue.mpg.de): motion of many mocap archives as SMPL-H or SMPL-X.

Layout as downloaded: SUBSET/SUBJECT/NAME_poses.npz (SMPL-H: poses (F, 156), mocap_framerate) or NAME_stageii.npz
(SMPL-X: poses (F, 165), or root_orient (F, 3) and pose_body (F, 63), and mocap_frame_rate), with trans (F, 3), betas
(16,), gender. World: z up, metres. Read by github.com/nghorbani/amass, whose README names its test and validation.
The first 22 joints of the three body models agree in meaning; SMPL-X's rest pose differs from SMPL's by a few degrees.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .files import DataError, array, find, read_npz
from .record import Z_UP_TO_Y_UP, Clip, local_rotations, plain_betas, turned_root

CURE = "Give AMASS's folder as it was unpacked, with its *_poses.npz or *_stageii.npz files."
KEYS = ("poses", "root_orient", "pose_body", "trans", "betas", "mocap_framerate", "mocap_frame_rate")
WITHOUT_MOTION = re.compile(r"(shape|_stagei)\.npz$")
# AMASS's own test and validation subsets, under old and new names, and the CMU people whom our benchmark holds out
# (synthetic.HELD_OUT; its salsa and Indian dances are subjects 60, 61 and 94).
HELD_OUT = re.compile(r"(^|/)(Transitions(_mocap)?|SSM(_synced)?|HumanEva|(MPI_)?HDM05|SFU|MPI_mosh|MoSh"
                      r"|CMU/(05|13|14|60|61|94|139|140))/")
RATES = (5.0, 1000.0)


def clips(path: Path) -> Iterator[Clip]:
    """One clip per file, read when it is asked for. Raises DataError."""
    files = [file for file in find(path, ("*.npz",), "AMASS's .npz files") if not WITHOUT_MOTION.search(file.name)]
    if not files:
        raise DataError(f"{path} holds body shapes but no motion.", CURE)
    for file in files:
        yield _clip(file, file.as_posix())


def _clip(file: Path, name: str) -> Clip:
    content = read_npz(file, KEYS, CURE)
    if "poses" in content:
        poses = array(file, "poses", content["poses"], (None, None), CURE)
    elif "root_orient" in content and "pose_body" in content:
        poses = np.concatenate([array(file, "root_orient", content["root_orient"], (None, 3), CURE),
                                array(file, "pose_body", content["pose_body"], (None, 63), CURE)], 1)
    else:
        raise DataError(f"{file} has no “poses”.", CURE)
    if not len(poses) or poses.shape[1] < 66 or poses.shape[1] % 3:
        raise DataError(f"{file}: poses is {len(poses)} x {poses.shape[1]}; a body has 66 to 165 numbers a frame.",
                        CURE)
    rate = content.get("mocap_framerate", content.get("mocap_frame_rate"))
    if rate is None or "trans" not in content:
        raise DataError(f"{file} has no “{'trans' if rate is not None else 'mocap_framerate'}”.", CURE)
    fps = float(array(file, "mocap_framerate", rate, (-1,), CURE)[0])
    if not RATES[0] <= fps <= RATES[1]:
        raise DataError(f"{file}: {fps:g} frames a second cannot be.", CURE)
    root = array(file, "trans", content["trans"], (len(poses), 3), CURE)
    betas = array(file, "betas", content.get("betas", np.zeros(10)), (1, -1), CURE)
    return Clip(name, bool(HELD_OUT.search(name)), turned_root(local_rotations(poses), Z_UP_TO_Y_UP),
                root @ Z_UP_TO_Y_UP.T, np.arange(len(poses)) / fps, plain_betas(np.repeat(betas, len(poses), 0)))
