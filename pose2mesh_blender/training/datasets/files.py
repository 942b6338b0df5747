"""Reads other people's files of numbers. Nothing in them runs; what is wrong with them is said with name and cure."""
from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import Pose2MeshError
from ...core.smpl_file import RefusedPickle, restricted_unpickle

LARGEST_PICKLE = 1 << 30  # bytes; the largest of 3DPW has 60 MB


class DataError(Pose2MeshError):
    """Training data that is missing or is not in its official format."""


def find(folder: Path, patterns: Iterable[str], what: str) -> list[Path]:
    """All files below `folder` (or `folder` itself, if it is a file) whose names match, sorted by path."""
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise DataError(f"There is no folder {folder}.", f"Give the folder with {what}.")
    found = sorted({path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()})
    if not found:
        raise DataError(f"{folder} holds no {' or '.join(patterns)}.", f"Give the folder with {what}.")
    return found


def read_json(path: Path, cure: str) -> dict:
    """The table in a JSON file."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not readable as JSON ({error}).", cure) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no table.", cure)
    return content


def read_npz(path: Path, keys: Iterable[str], cure: str) -> dict[str, np.ndarray]:
    """Those of `keys` that are in the archive; the other arrays are not touched."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys if key in archive.files}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not readable as .npz ({error}).", cure) from None


def read_mat(path: Path, keys: Iterable[str], cure: str) -> dict[str, np.ndarray]:
    """Those of `keys` that are in a MATLAB file (version 5 to 7)."""
    from scipy.io import loadmat

    try:
        return loadmat(path, variable_names=list(keys))
    except Exception as error:  # damaged bytes make it raise nearly anything
        raise DataError(f"{path} is not readable as a MATLAB file ({error}).", cure) from None


def read_pickle(path: Path, cure: str) -> dict[str, Any]:
    """The table in a pickle, by core/smpl_file.py's restrictions: arrays, numbers, texts and tables, no code."""
    try:
        if path.stat().st_size > LARGEST_PICKLE:
            raise DataError(f"{path} is too large for a file of poses.", cure)
        content = restricted_unpickle(path.read_bytes())
    except RefusedPickle as error:
        raise DataError(f"{path} was not loaded: it asks to run {error}, which no file of poses does.",
                        f"Do not trust this file. {cure}") from None
    except DataError:
        raise
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        raise DataError(f"{path} is not readable as a pickle ({type(error).__name__}).", cure) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no table.", cure)
    return content


def field(path: Path, table: Any, *keys: str, cure: str) -> Any:
    """table[keys[0]][keys[1]] …"""
    for depth, key in enumerate(keys):
        if not isinstance(table, dict) or key not in table:
            raise DataError(f"{path} has no “{'/'.join(keys[:depth + 1])}”.", cure)
        table = table[key]
    return table


def tables(path: Path, table: dict, key: str, cure: str) -> list[dict]:
    """table[key] as a list of tables."""
    found = field(path, table, key, cure=cure)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DataError(f"{path}: “{key}” is no list of tables.", cure)
    return found


def array(path: Path, what: str, value: Any, shape: tuple[int | None, ...], cure: str) -> np.ndarray:
    """value as float32 of that shape (None: any length, -1: as many as there are). Refuses what is no number."""
    try:
        out = np.asarray(value, np.float64)
        if -1 in shape:
            out = out.reshape([-1 if n == -1 else n for n in shape])
    except (TypeError, ValueError):
        raise DataError(f"{path}: {what} holds no table of numbers with {_words(shape)} entries.", cure) from None
    if out.ndim != len(shape) or any(n not in (None, -1, m) for n, m in zip(shape, out.shape)):
        raise DataError(f"{path}: {what} is {_words(out.shape)}, not {_words(shape)}.", cure)
    if not np.isfinite(out).all() or (out.size and np.abs(out).max() > 1e30):
        raise DataError(f"{path}: {what} holds values that are no numbers.", cure)
    return out.astype(np.float32)


def _words(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if n in (None, -1) else str(n) for n in shape) or "one number"
