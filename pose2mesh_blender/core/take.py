"""The take: the one record of a result, a folder that survives any crash. No `bpy` module use.

    take.json               schema, footage identity, settings, model hashes, camera, people and their names
    frames.npy              (T,) int64 index of each row's frame in the footage
    timestamps.npy          (T,) float64 seconds
    detected.npy solved.npy (T,) uint8 flags, each set after the row's data is in its file
    tracks.bin              append-only record of every tracked person per frame (core/track_log.py)
    detection.json          what the detection remembers, to go on exactly where it stopped (core/pipeline.py)
    person_<id>/            keypoints.npy (T,23,3)  vertices.npy (T,6890,3)  translation.npy (T,3)  joints.npy (T,24,3)
                            shape.npy (16,)  shapes.npy (T,16; only where the shape is free)
                            lifted.npy (T,71,3)  pulled.npy (T,71,3)  path.npy (T,3)  (core/stages.py)
                            footing.npz (core/contacts.py; only when the feet were seen to stand)
    edits_<id>.npy          keypoints corrected since they were detected (core/edits.py)

Arrays of people are allocated once, filled with NaN (= absent), and written in place by ordinary file writes, so a full
disk is an error and not a crash of the process. Every file appears under its final name only when it is whole. One
process writes at a time: the operating system holds the lock and drops it when that process ends, however it ends.
"""
from __future__ import annotations

import errno
import io
import json
import os
import shutil
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from .contacts import Footing
from .edits import Edits, read_edits, write_edits
from .errors import TakeError
from .files import (
    NEW_FOLDER,
    ArrayWriter,
    UnusableTakeError,
    allocate,
    npy_header,
    open_array,
    write_file,
    writing,
)
from .stages import Stages

SCHEMA = 2  # 2: corrections, which 1 would overwrite
VERTICES = 6890
# What a file system that knows no locks answers (network shares): then nothing keeps a second writer away.
_NO_LOCKS = {getattr(errno, name, 0) for name in ("ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK")} - {0}

# float32 arrays per person: file name -> shape after the frame axis.
PERSON_ARRAYS = {"keypoints": (23, 3), "vertices": (VERTICES, 3), "translation": (3,), "joints": (24, 3),
                 "lifted": (71, 3), "pulled": (71, 3), "path": (3,)}


class Take:
    """A take folder. Make it with `create` or `open`; use it as a context manager, or `close` it.

    Rows 0..T-1 are the chosen frames of the footage; `frames` gives their indices in it.
    """

    def __init__(self, folder: Path, info: dict, lock: object | None) -> None:
        self.folder, self.info, self._lock = folder, info, lock
        self._writers: dict[Path, ArrayWriter] = {}
        self.frames = np.array(open_array(folder / "frames.npy"))
        self.timestamps = np.array(open_array(folder / "timestamps.npy"))
        if len(self.frames) != len(self.timestamps) or len(self.frames) != info["rows"]:
            self.close()
            raise UnusableTakeError(f"{folder} is damaged: its arrays and take.json disagree.", NEW_FOLDER)

    # -- opening and closing ------------------------------------------------------------------------------------------
    @classmethod
    def create(cls, folder: Path | str, *, frames: np.ndarray, timestamps: np.ndarray, image_size: tuple[int, int],
               fps: float, intrinsics: np.ndarray, footage: dict | None = None, settings: dict | None = None,
               models: dict | None = None) -> Take:
        """Makes an empty take, locked for writing.

        frames (T,) footage indices; timestamps (T,) seconds; image_size (W, H) pixels; intrinsics (3, 3);
        footage: {"path", "identity", "kind"}; settings, models: what the result depends on (JSON values).
        Raises TakeError when the folder already holds a take or cannot be written.
        """
        folder = Path(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if (folder / "take.json").exists():
            raise TakeError(f"{folder} already holds a take.", NEW_FOLDER)
        lock = _lock_folder(folder)
        try:
            count = len(frames)
            for name, values, dtype in (("frames", frames, "<i8"), ("timestamps", timestamps, "<f8")):
                write_file(folder / f"{name}.npy", npy_header((count,), dtype) + np.asarray(values, dtype).tobytes())
            for name in ("detected", "solved"):
                allocate(folder / f"{name}.npy", (count,), "|u1", 0)
            info = {"schema": SCHEMA, "rows": count, "footage": footage or {},
                    "image_size": [int(v) for v in image_size], "fps": float(fps),
                    "intrinsics": np.asarray(intrinsics, np.float64).tolist(),
                    "world_from_camera": np.eye(4).tolist(), "settings": settings or {}, "models": models or {},
                    "people": [], "solve": {}, "warnings": []}
            take = cls(folder, info, lock)
            take.save()
        except BaseException:
            _unlock(lock)
            raise
        return take

    @classmethod
    def open(cls, folder: Path | str, write: bool = False) -> Take:
        """Opens a take; `write=True` locks it. Raises TakeError (damaged, newer schema, in use)."""
        folder = Path(folder)
        if not (folder / "take.json").is_file():
            raise TakeError(f"{folder} is not a take: it has no take.json.", "Choose the folder that holds take.json.")
        lock = _lock_folder(folder) if write else None
        try:
            return cls(folder, _read_info(folder / "take.json"), lock)
        except BaseException:
            _unlock(lock)
            raise

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        _unlock(self._lock)
        self._lock = None

    def __enter__(self) -> Take:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.frames)

    def save(self) -> None:
        """Writes take.json, whole or not at all."""
        self._check_writable()
        text = json.dumps(self.info, indent=1, allow_nan=False)  # ASCII: a path may hold what UTF-8 cannot
        write_file(self.folder / "take.json", text.encode())

    # -- what a take says ---------------------------------------------------------------------------------------------
    @property
    def people(self) -> list[int]:
        """Ids of the people kept, most prominent first."""
        return [p["id"] for p in self.info["people"]]

    def name(self, person: int) -> str:
        return next(p["name"] for p in self.info["people"] if p["id"] == person)

    @property
    def detected(self) -> np.ndarray:
        """(T,) bool: rows whose keypoints are stored."""
        return np.array(open_array(self.folder / "detected.npy")) > 0

    @property
    def solved(self) -> np.ndarray:
        """(T,) bool: rows whose meshes are stored, for every person."""
        return np.array(open_array(self.folder / "solved.npy")) > 0

    @property
    def done(self) -> np.ndarray:
        """(T,) bool: rows that need no more work."""
        return self.detected & self.solved

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) float64, pixels."""
        return np.array(self.info["intrinsics"], np.float64)

    @property
    def image_size(self) -> tuple[int, int]:
        """(W, H) pixels."""
        return tuple(self.info["image_size"])

    @property
    def fps(self) -> float:
        """Frames per second of the footage (before `step`)."""
        return self.info["fps"]

    @property
    def world_from_camera(self) -> np.ndarray:
        """(4, 4) float64: Blender world (z up) from OpenCV camera, metres."""
        return np.array(self.info["world_from_camera"], np.float64)

    @property
    def footage(self) -> dict:
        """{"path", "identity", "kind"}; empty for keypoint files without footage."""
        return self.info["footage"]

    @property
    def settings(self) -> dict:
        return self.info["settings"]

    # -- arrays of people ---------------------------------------------------------------------------------------------
    def keypoints(self, person: int) -> np.ndarray:
        """(T, 23, 3) float32: x, y pixels and confidence; NaN x, y and confidence 0 where absent."""
        return self.keypoints_of(person, slice(None))

    def keypoints_of(self, person: int, rows: slice) -> np.ndarray:
        """The same, for a slice of the rows."""
        keypoints = np.array(self._array(person, "keypoints")[rows])
        keypoints[..., 2] = np.nan_to_num(keypoints[..., 2])
        return keypoints

    def edits(self, person: int) -> Edits:
        """Which of the keypoints were corrected, and what detection had said."""
        return read_edits(self.folder, person, len(self))

    def vertices(self, person: int) -> np.ndarray:
        """(T, 6890, 3) float32 read-only memory map: root-relative, camera axes, metres; NaN where absent."""
        return self._array(person, "vertices")

    def translation(self, person: int) -> np.ndarray:
        """(T, 3) float32: pelvis in camera space, metres; NaN where absent."""
        return np.array(self._array(person, "translation"))

    def joints(self, person: int) -> np.ndarray:
        """(T, 24, 3) float32: smpl24 joints, root-relative, camera axes, metres; NaN where absent."""
        return np.array(self._array(person, "joints"))

    def shape(self, person: int) -> np.ndarray:
        """(16,) float32: shape components, one per person; where the shape is free, their mean."""
        return np.array(open_array(self._person(person) / "shape.npy"))

    def shapes(self, person: int) -> np.ndarray:
        """(16,) float32 of a shape that is one over the take, (T, 16) of one that is free."""
        path = self._person(person) / "shapes.npy"
        if not path.is_file():
            return self.shape(person)
        found = np.array(open_array(path))
        if found.shape != (len(self), *self.shape(person).shape):
            raise UnusableTakeError(f"{path} is damaged: its shape is {found.shape}.", NEW_FOLDER)
        return found

    def stages(self, person: int) -> Stages | None:
        """What the motion was made from; None where the take was solved by a version that did not keep it."""
        if not all((self._person(person) / f"{name}.npy").is_file() for name in Stages._fields):
            return None
        return Stages(*(np.array(self._array(person, name)) for name in Stages._fields))

    def footing(self, person: int) -> Footing | None:
        """Where the person stands, as the solve found it; None when it found nothing."""
        path = self._person(person) / "footing.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                found = Footing.from_arrays(file)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UnusableTakeError(f"{path} is damaged ({error!r}).", NEW_FOLDER) from None
        if found.shift.shape != (len(self), 3):
            raise UnusableTakeError(f"{path} is damaged: its shape is {found.shift.shape}.", NEW_FOLDER)
        return found

    def has_mesh(self, person: int) -> bool:
        return (self._person(person) / "vertices.npy").is_file()

    # -- writing ------------------------------------------------------------------------------------------------------
    def set_people(self, people: dict[int, str]) -> None:
        """Names the people kept, in order; arrays of others are removed."""
        self._check_writable()
        self.info["people"] = [{"id": int(i), "name": n} for i, n in people.items()]
        self.save()
        kept = {str(i) for i in people}
        for path in self.folder.glob("person_*"):
            number = path.name.removeprefix("person_")
            if number.isdecimal() and number not in kept:  # a folder of another name is not ours
                self._forget(path)
                shutil.rmtree(path, ignore_errors=True)

    def set_keypoints(self, person: int, keypoints: np.ndarray, rows: np.ndarray | None = None,
                      stale: np.ndarray | None = None) -> None:
        """keypoints (T, 23, 3), or (N, 23, 3) for `rows` (N,).

        Meshes of the take then count as not solved: all, or those of the rows `stale` (M,).
        """
        self._folder_with(person, "keypoints")
        if stale is None:
            self.clear_solved()
        else:
            self._mark("solved", stale, 0)
        self._writer(person, "keypoints").write(np.arange(len(self)) if rows is None else rows, keypoints)

    def set_edits(self, person: int, edits: Edits) -> None:
        """Remembers corrections; `set_keypoints` stores the keypoints themselves."""
        self._check_writable()
        if self.info["schema"] < SCHEMA:
            self.info["schema"] = SCHEMA
            self.save()
        write_edits(self.folder, person, edits)

    def prepare_mesh(self, person: int, shape: np.ndarray) -> None:
        """Allocates what `write_mesh` fills. shape (16,), or (T, 16) where it is free."""
        path = self._folder_with(person, "vertices", "translation", "joints")
        values = np.asarray(shape, "<f4")
        if values.ndim == 2:
            write_file(path / "shapes.npy", npy_header(values.shape, "<f4") + values.tobytes())
            values = values.mean(0)
        else:
            with writing(path):
                (path / "shapes.npy").unlink(missing_ok=True)
        write_file(path / "shape.npy", npy_header(values.shape, "<f4") + values.tobytes())

    def write_stages(self, person: int, stages: Stages, first: int = 0) -> None:
        """stages: of the rows from `first` on."""
        self._folder_with(person, *stages._fields)
        for name, values in stages._asdict().items():
            self._writer(person, name).write(np.arange(first, first + len(values)), values)

    def write_footing(self, person: int, footing: Footing | None) -> None:
        """Stores where the person stands, whole or not at all."""
        path = self._folder_with(person) / "footing.npz"
        if footing is None:
            with writing(path):
                path.unlink(missing_ok=True)
            return
        stream = io.BytesIO()
        np.savez(stream, **footing.arrays())
        write_file(path, stream.getvalue())

    def write_mesh(self, person: int, rows: np.ndarray, vertices: np.ndarray, translation: np.ndarray,
                   joints: np.ndarray) -> None:
        """rows (N,); vertices (N, 6890, 3), translation (N, 3), joints (N, 24, 3) as the readers give them."""
        self._check_writable()
        for name, values in (("vertices", vertices), ("translation", translation), ("joints", joints)):
            self._writer(person, name).write(rows, values)

    def write_translation(self, person: int, rows: np.ndarray, translation: np.ndarray) -> None:
        """rows (N,); translation (N, 3): the same poses elsewhere."""
        self._check_writable()
        self._writer(person, "translation").write(rows, translation)

    def timestamp_writer(self) -> ArrayWriter:
        """For the exact times that decoding gives; close it after use."""
        self._check_writable()
        return ArrayWriter(self.folder / "timestamps.npy")

    def mark_detected(self, rows: np.ndarray) -> None:
        self._mark("detected", rows, 1)

    def mark_solved(self, rows: np.ndarray) -> None:
        """Sets the rows' flags, after the data written before has reached the disk."""
        for path, writer in self._writers.items():
            if path.parent != self.folder:
                writer.flush()
        self._mark("solved", rows, 1)

    def clear_detected(self) -> None:
        if self.detected.any():
            self._mark("detected", np.arange(len(self)), 0)

    def clear_solved(self, rows: np.ndarray | None = None) -> None:
        """rows: (N,), None = all."""
        if self.solved.any():
            self._mark("solved", np.arange(len(self)) if rows is None else rows, 0)

    def _mark(self, name: str, rows: np.ndarray, value: int) -> None:
        self._check_writable()
        path = self.folder / f"{name}.npy"
        if path not in self._writers:
            self._writers[path] = ArrayWriter(path)
        rows = np.atleast_1d(np.asarray(rows, np.int64))
        self._writers[path].write(rows, np.full(len(rows), value, np.uint8))

    def _check_writable(self) -> None:
        if self._lock is None:
            raise TakeError(f"{self.folder} was opened for reading.", "Open it for writing.")

    def _person(self, person: int) -> Path:
        return self.folder / f"person_{int(person)}"

    def _folder_with(self, person: int, *names: str) -> Path:
        """The person's folder, made where it is missing, with these arrays in it."""
        self._check_writable()
        path = self._person(person)
        with writing(path):
            path.mkdir(exist_ok=True)
        for name in names:
            if not (path / f"{name}.npy").exists():
                allocate(path / f"{name}.npy", (len(self), *PERSON_ARRAYS[name]))
        return path

    def _array(self, person: int, name: str) -> np.memmap:
        path = self._person(person) / f"{name}.npy"
        array = open_array(path)
        if array.shape != (len(self), *PERSON_ARRAYS[name]):
            raise UnusableTakeError(f"{path} is damaged: its shape is {array.shape}.", NEW_FOLDER)
        return array

    def _writer(self, person: int, name: str) -> ArrayWriter:
        path = self._person(person) / f"{name}.npy"
        if path not in self._writers:
            self._array(person, name)
            self._writers[path] = ArrayWriter(path)
        return self._writers[path]

    def _forget(self, folder: Path) -> None:
        for path in [p for p in self._writers if p.parent == folder]:
            self._writers.pop(path).close()


def _read_info(path: Path) -> dict:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if info["schema"] > SCHEMA:
            raise TakeError(f"{path} was made by a newer Pose2Mesh.", "Update Pose2Mesh.")
        for key, kind in (("rows", int), ("image_size", list), ("fps", float), ("intrinsics", list), ("people", list),
                          ("world_from_camera", list), ("settings", dict), ("footage", dict), ("solve", dict)):
            if not isinstance(info[key], kind):
                raise TypeError(key)
        for person in info["people"]:
            if not isinstance(person["id"], int) or not isinstance(person["name"], str):
                raise TypeError("people")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableTakeError(f"{path} is damaged ({error!r}).", NEW_FOLDER) from None
    return info


def _lock_folder(folder: Path) -> object:
    """Holds an operating-system lock on the folder's `lock` file, which names the process for messages."""
    path = folder / "lock"
    with writing(path):
        stream = path.open("a+b")
    try:
        if os.name == "nt":
            import msvcrt

            stream.seek(1 << 20)  # a byte far behind the text: a locked byte cannot be read on Windows
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return stream
        stream.seek(0)
        holder = stream.read(64).decode("ascii", "replace").strip() or "unknown"
        stream.close()
        raise TakeError(f"{folder} is being written by another process (number {holder}).",
                        "Wait for it, stop it, or name another take folder.") from None
    stream.truncate(0)
    stream.write(str(os.getpid()).encode())
    stream.flush()
    return stream


def _unlock(lock: object | None) -> None:
    if lock is not None:
        lock.close()  # type: ignore[attr-defined]
