"""SMPL-convention motion of a take's people as .npz, as tools for SMPL read it. No `bpy` module use.

poses (N, 72) axis-angle of 24 joints, relative to their parents, pelvis first; trans (N, 3) metres, what is added to
the posed body; mocap_framerate; frames (N,) in the footage; joints (24, 3) at rest. y up, front +z. betas only where
the user's own SMPL body was animated: the bundled body's shape space is not SMPL's.
"""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from .batch import numbered
from .body import Body, embedded_body
from .conventions import quaternion_of, steady
from .errors import ExportError
from .files import write_file
from .rig import fit_rig, shape_of
from .take import Take

_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from the take's z-up world


def write_smpl(take: Take, path: Path, body: Body) -> list[Path]:
    """One file per person: `path`, or `shot_01.npz`, ... for several; returns them. Raises ExportError, TakeError."""
    people = [p for p in take.people if take.has_mesh(p)]
    if not people:
        raise ExportError(f"{take.folder} has no solved person to write to {path}.", "Run animate or solve first.")
    paths = [path] if len(people) == 1 else [numbered(path, n) for n in range(1, len(people) + 1)]
    for person, target in zip(people, paths):
        stream = io.BytesIO()
        np.savez_compressed(stream, **smpl_motion(take, person, body))
        write_file(target, stream.getvalue())
    return paths


def smpl_motion(take: Take, person: int, body: Body) -> dict[str, np.ndarray]:
    """The arrays of one person's file, by name."""
    place = take.translation(person)
    rows = np.flatnonzero(take.done & np.isfinite(place).all(1))
    world = take.world_from_camera
    turn = _Y_UP @ world[:3, :3]
    points = (np.array(take.vertices(person)[rows]) + place[rows, None]) @ turn.T.astype(np.float32)
    points += (_Y_UP @ world[:3, 3]).astype(np.float32)
    rig = fit_rig(points, body)
    q = steady(quaternion_of(rig.local))
    half = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    vectors = q[..., 1:] * np.where(half > 1e-9, 2 * np.arctan2(half, q[..., :1]) / np.maximum(half, 1e-9), 2.0)
    step = int(take.settings.get("step") or 1)
    out = {"poses": vectors.reshape(len(rows), -1).astype(np.float32), "mocap_framerate": np.array(take.fps / step),
           "gender": np.array("neutral"), "frames": take.frames[rows], "joints": rig.joints.astype(np.float32)}
    rest = rig.joints[0]
    if body is not embedded_body():
        size, betas = shape_of(rig, body)
        rest = (body.J_template[0] + betas @ body.J_shapedirs[:, 0]) * size
        out |= {"betas": betas.astype(np.float32), "scale": np.array(size)}
    out["trans"] = (rig.pelvis - rest).astype(np.float32)
    return out
