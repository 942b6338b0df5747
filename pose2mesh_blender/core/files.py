"""Files that are whole or absent: atomic writes, array files written in place, clear errors. No `bpy` module use."""
from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .errors import TakeError

NEW_FOLDER = "Delete the folder, or name another one."
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class UnusableTakeError(TakeError):
    """A take that cannot be continued: damaged, or made from something else."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusals while writing at `path` into a TakeError that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise TakeError(f"No space left while writing {path}.",
                            "Free some space and run the same command again: finished frames are kept.") from error
        raise TakeError(f"Cannot write {path} ({error.strerror or error}).",
                        "Choose a folder you may write to.") from error


def write_file(path: Path, data: bytes) -> None:
    """Writes a whole file or nothing: temporary name, flushed to the disk, then renamed."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The bytes that precede an array's data in a .npy file."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def allocate(path: Path, shape: tuple[int, ...], dtype: str = "<f4", fill: float = np.nan) -> None:
    """Makes a .npy file full of `fill`, in pieces of bounded size."""
    row = np.full(shape[1:], fill, dtype).tobytes()
    per_piece = max(1, (1 << 22) // max(1, len(row)))
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with writing(path):
        if len(row) * shape[0] > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            with temporary.open("wb") as stream:
                stream.write(npy_header(shape, dtype))
                for start in range(0, shape[0], per_piece):
                    stream.write(row * min(per_piece, shape[0] - start))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def open_array(path: Path) -> np.memmap:
    """A read-only memory map of a .npy file; a damaged one is a TakeError."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnusableTakeError(f"{path} is missing or damaged ({error}).", NEW_FOLDER) from None


class ArrayWriter:
    """Writes rows of an allocated .npy file in place."""

    def __init__(self, path: Path) -> None:
        array = open_array(path)
        self.path, self.dtype, self.shape = path, array.dtype, array.shape
        self._offset = array.offset
        self._row_bytes = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
        with writing(path):
            self._stream = path.open("r+b", buffering=0)

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """rows (N,) int; values (N, ...) of the file's row shape. Runs of consecutive rows are one write each."""
        rows = np.asarray(rows, np.int64)
        values = np.ascontiguousarray(np.broadcast_to(values, (len(rows), *self.shape[1:])), self.dtype)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        with writing(self.path):
            for part in np.split(np.arange(len(rows)), breaks):
                if len(part):
                    self._stream.seek(self._offset + int(rows[part[0]]) * self._row_bytes)
                    piece = memoryview(values[part[0]:part[-1] + 1].data).cast("B")
                    while piece:
                        piece = piece[self._stream.write(piece):]

    def flush(self) -> None:
        """Waits until the disk has what was written."""
        with writing(self.path):
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        self._stream.close()
