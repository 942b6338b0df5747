"""RESULT.npz: a solved take as plain arrays for other programs. No `bpy` module use.

For P people and T frames, NaN where absent: vertices (P,T,6890,3) float32 root-relative, camera axes x right, y down,
z forward, metres; translation (P,T,3) pelvis in camera space; keypoints (P,T,23,3) pixels and confidence, the first 17
in COCO's order; joints_h36m17 (P,T,17,3), pelvis first, right leg before left; joints_coco17 (P,T,17,3); joints_smpl24
(P,T,24,3), all root-relative; frames, timestamps (T,); intrinsics (3,3); faces (13776,3).
"""
from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .body import Body, load_body
from .errors import ExportError
from .files import npy_header, writing
from .take import VERTICES, Take

CHUNK = 64  # frames in memory at a time


def write_result(take: Take, path: Path | str, body: Body | None = None) -> None:
    """Writes RESULT.npz piece by piece, under a temporary name until it is whole. Raises ExportError, TakeError."""
    path, body = Path(path), body or load_body()
    people, count = take.people, len(take)
    if not people or not any(take.has_mesh(p) for p in people):
        raise ExportError(f"{take.folder} has no solved person to write to {path}.", "Run animate or solve first.")

    def of_people(name: str, *tail: int) -> Iterator[np.ndarray]:
        for person in people:
            for start in range(0, count, CHUNK):
                rows = slice(start, min(start + CHUNK, count))
                yield _piece(take, body, person, rows, name, tail)

    members: list[tuple[str, tuple[int, ...], str, Iterator[np.ndarray]]] = [
        (name, (len(people), count, *tail), "<f4", of_people(name, *tail)) for name, *tail in (
            ("vertices", VERTICES, 3), ("translation", 3), ("keypoints", 23, 3), ("joints_h36m17", 17, 3),
            ("joints_coco17", 17, 3), ("joints_smpl24", 24, 3))]
    for name, array, dtype in (("frames", take.frames, "<i8"), ("timestamps", take.timestamps, "<f8"),
                               ("intrinsics", take.intrinsics, "<f8"), ("faces", body.faces, "<i4")):
        members.append((name, array.shape, dtype, iter([array])))
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for name, shape, dtype, pieces in members:
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                        stream.write(npy_header(shape, dtype))
                        for piece in pieces:
                            stream.write(np.ascontiguousarray(piece, dtype).tobytes())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def read_result(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a RESULT.npz by name. Raises ExportError when it is none; never unpickles."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            result = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path} is not a readable result ({error}).", "Solve again.") from None
    if "vertices" not in result or result["vertices"].shape[2:] != (VERTICES, 3):
        raise ExportError(f"{path} is not a result of Pose2Mesh.", "Give a file that `pose2mesh solve` wrote.")
    return result


def _piece(take: Take, body: Body, person: int, rows: slice, name: str, tail: tuple[int, ...]) -> np.ndarray:
    if name == "keypoints":
        return take.keypoints_of(person, rows)
    solved = take.solved[rows]
    piece = np.full((len(solved), *tail), np.nan, np.float32)
    if not take.has_mesh(person) or not solved.any():
        return piece
    if name == "translation":
        values = take.translation(person)[rows]
    elif name == "joints_smpl24":
        values = take.joints(person)[rows]
    else:
        values = np.array(take.vertices(person)[rows])
        if name != "vertices":
            values = body.regress(name.removeprefix("joints_"), values)
    piece[solved] = values[solved]
    return piece
