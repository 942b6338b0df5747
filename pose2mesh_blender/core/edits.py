"""What no longer is as detection said: keypoints corrected by hand, or detected again. No `bpy` module use.

Per person one file of a take, `edits_<id>.npy`, (N, 9) float64, written whole or not at all: row, joint of body23,
1 when by hand, the keypoint (x, y, confidence), and what the first detection said (x, y, confidence). The keypoints of
the take already hold the corrections; the file says which they are, so that choosing people again keeps them.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .errors import TakeError
from .files import npy_header, open_array, write_file

ABSENT = np.array([np.nan, np.nan, 0.0], np.float32)
JOINTS = 23


@dataclass(frozen=True)
class Edits:
    """N edited keypoints of one person, each (row, joint) once, sorted."""

    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (N,) of the take
    joints: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (N,) of body23
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # (N, 3) pixels, confidence
    before: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))  # (N, 3) as detected
    by_hand: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # (N,) else detected again

    def __len__(self) -> int:
        return len(self.rows)

    def mask(self, count: int) -> np.ndarray:
        """(count, 23) bool: keypoints that were corrected by hand."""
        out = np.zeros((count, JOINTS), bool)
        out[self.rows[self.by_hand], self.joints[self.by_hand]] = True
        return out

    def applied(self, keypoints: np.ndarray) -> np.ndarray:
        """keypoints (T, 23, 3) as detected or as corrected -> a corrected copy."""
        out = np.array(keypoints, np.float32)
        out[self.rows, self.joints] = self.values
        return out

    def detected(self, keypoints: np.ndarray) -> np.ndarray:
        """keypoints (T, 23, 3) as corrected -> a copy as the first detection said."""
        out = np.array(keypoints, np.float32)
        out[self.rows, self.joints] = self.before
        return out

    def based_on(self, detected: np.ndarray) -> Edits:
        """The same corrections of another first detection, (T, 23, 3)."""
        return replace(self, before=np.asarray(detected, np.float32)[self.rows, self.joints])

    def changed(self, rows: np.ndarray, joints: np.ndarray, values: np.ndarray, keypoints: np.ndarray,
                by_hand: bool = True) -> Edits:
        """With further corrections; one that is what detection said is none.

        rows, joints: (M,); values: (M, 3); keypoints: (T, 23, 3) of the take now.
        """
        rows, joints = np.asarray(rows, np.int64), np.asarray(joints, np.int64)
        values = np.asarray(values, np.float32).reshape(-1, 3)
        before = self.detected(keypoints)[rows, joints]
        new = Edits(rows, joints, values, before, np.full(len(rows), by_hand))
        parts = (new, self)
        cells = np.concatenate([p.rows * JOINTS + p.joints for p in parts])
        _, first = np.unique(cells, return_index=True)  # sorted; of two the newer one, which stands first
        both = Edits(*(np.concatenate([getattr(p, name) for p in parts])[first]
                       for name in ("rows", "joints", "values", "before", "by_hand")))
        return both._kept(~same(both.values, both.before))

    def without(self, cells: np.ndarray) -> Edits:
        """cells: (T, 23) bool; their corrections are given up."""
        return self._kept(~cells[self.rows, self.joints])

    def _kept(self, keep: np.ndarray) -> Edits:
        return Edits(self.rows[keep], self.joints[keep], self.values[keep], self.before[keep], self.by_hand[keep])


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., 3) keypoints -> (...) bool: equal, or absent in both."""
    absent = absent_in(a) & absent_in(b)
    return absent | (np.asarray(a, np.float32) == np.asarray(b, np.float32)).all(-1)


def absent_in(keypoints: np.ndarray) -> np.ndarray:
    """(..., 3) keypoints -> (...) bool."""
    return ~np.isfinite(keypoints[..., :2]).all(-1) | ~(keypoints[..., 2] > 0)


def read_edits(folder: Path, person: int, count: int) -> Edits:
    """The corrections of one person in the take at `folder` with `count` rows. Raises TakeError when damaged."""
    path = _path(folder, person)
    if not path.exists():
        return Edits()
    data = np.array(open_array(path))
    if data.ndim != 2 or data.shape[1] != 9 or data.dtype != np.float64 or not _plausible(data, count):
        raise TakeError(f"{path} is damaged.", "Delete it; its corrections must be made again.")
    return Edits(data[:, 0].astype(np.int64), data[:, 1].astype(np.int64), data[:, 3:6].astype(np.float32),
                 data[:, 6:9].astype(np.float32), data[:, 2] > 0)


def write_edits(folder: Path, person: int, edits: Edits) -> None:
    """Writes the file, whole or not at all; no corrections, no file. The take is to be open for writing."""
    path = _path(folder, person)
    if not len(edits):
        path.unlink(missing_ok=True)
        return
    data = np.column_stack([edits.rows, edits.joints, edits.by_hand, edits.values, edits.before]).astype("<f8")
    write_file(path, npy_header(data.shape, "<f8") + data.tobytes())


def _path(folder: Path, person: int) -> Path:
    return folder / f"edits_{int(person)}.npy"  # beside person_<id>/: whoever is kept again later is still corrected


def _plausible(data: np.ndarray, count: int) -> bool:
    cells = data[:, :2]
    if not len(data):
        return True
    whole = np.isfinite(cells).all() and (cells == np.floor(cells)).all()
    return bool(whole and (cells >= 0).all() and cells[:, 0].max() < count and cells[:, 1].max() < JOINTS
                and len(np.unique(cells, axis=0)) == len(cells))
