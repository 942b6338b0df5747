"""A second take of the same footage without detecting it again. No `bpy` module use."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from .files import npy_header, write_file, writing
from .take import Take

DETECTION = ("frames.npy", "timestamps.npy", "detected.npy", "tracks.bin", "detection.json")
OF_THE_SOLVE = {"people": [], "solve": {}, "world_from_camera": np.eye(4).tolist()}


def copy_detection(source: Path, target: Path) -> None:
    """Makes a take at `target` that knows what was detected in `source` and nothing of its people and corrections.

    Raises TakeError when `source` is no take, or `target` cannot be written.
    """
    with Take.open(source) as take:
        info, count = dict(take.info), len(take)
    for name in ("chosen", "benched", "smoothing", "unsmoothed"):
        info.pop(name, None)
    info.update(OF_THE_SOLVE)
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        for name in DETECTION:
            if (source / name).is_file():
                shutil.copyfile(source / name, target / name)
    write_file(target / "solved.npy", npy_header((count,), "|u1") + bytes(count))
    write_file(target / "take.json", json.dumps(info, indent=1, allow_nan=False).encode())  # last: now it is a take
