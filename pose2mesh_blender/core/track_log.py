"""What detection saw: an append-only file that a killed process leaves readable. No `bpy` module use.

One record per row: 12 bytes (magic, row, number of people, all uint32 little-endian), then per person an int32 id and
(23, 3) float32 keypoints. A record that was cut short by a crash is cut off when the file is opened for appending.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .files import writing

_HEADER = struct.Struct("<4sII")
_MAGIC = b"P2MF"
_PERSON = np.dtype([("id", "<i4"), ("keypoints", "<f4", (23, 3))])


class TrackLog:
    """Appends records; `rows` is the number of whole records in the file."""

    def __init__(self, path: Path, rows: int) -> None:
        """Opens for appending after the first `rows` records (fewer when fewer are whole)."""
        self.path = path
        with writing(path):
            path.touch()
            size, self.rows = _whole(path, rows)
            self._stream = path.open("r+b", buffering=0)
            self._stream.truncate(size)
            self._stream.seek(size)

    def append(self, people: list[tuple[int, np.ndarray]]) -> None:
        """people: (id, (23, 3) keypoints) of the next row. The record is with the operating system on return."""
        data = np.empty(len(people), _PERSON)
        for slot, (person, keypoints) in zip(data, people):
            slot["id"], slot["keypoints"] = person, keypoints
        piece = memoryview(_HEADER.pack(_MAGIC, self.rows, len(people)) + data.tobytes())
        with writing(self.path):
            while piece:
                piece = piece[self._stream.write(piece):]
        self.rows += 1

    def close(self) -> None:
        self._stream.close()


def read_log(path: Path) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields (row, ids (P,), keypoints (P, 23, 3)) of every whole record."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        row = 0
        while record := _read(stream, row):
            yield row, record[0]["id"], record[0]["keypoints"]
            row += 1


def _read(stream, row: int) -> tuple[np.ndarray] | None:
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    magic, number, count = _HEADER.unpack(head)
    if magic != _MAGIC or number != row or count > 1 << 16:
        return None
    body = stream.read(count * _PERSON.itemsize)
    return (np.frombuffer(body, _PERSON),) if len(body) == count * _PERSON.itemsize else None


def _whole(path: Path, limit: int) -> tuple[int, int]:
    """(bytes, records) of the whole records among the first `limit`."""
    size = rows = 0
    with path.open("rb") as stream:
        while rows < limit and _read(stream, rows):
            size, rows = stream.tell(), rows + 1
    return size, rows
