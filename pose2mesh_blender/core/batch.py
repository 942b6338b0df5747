"""A folder of footage, one result each: what failed does not stop the rest. No `bpy` module use."""
from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import Cancelled, ExportError, FootageError, Pose2MeshError
from .files import write_file
from .footage import IMAGE_SUFFIXES, VIDEO_SUFFIXES, image_files
from .keypoint_files import is_keypoint_input

REPORT = "report.json"


@dataclass
class Outcome:
    """One file of a batch. state: done | skipped (its result was there) | failed."""

    input: str
    output: str
    state: str
    message: str = ""
    seconds: float = 0.0


def footage_in(folder: Path) -> list[Path]:
    """Videos, stills and keypoint files of a folder, and its subfolders that hold image sequences or OpenPose files."""
    if not os.path.isdir(folder):
        raise FootageError(f"{folder} is not a folder.", "Give the folder that holds the footage.")
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FootageError(f"{folder} cannot be read ({error.strerror}).", "Check its permissions.") from None
    found = []
    for path in entries:
        if path.name.startswith(".") or path.suffix == ".take" or path.name == REPORT:
            continue
        if os.path.isdir(path):
            try:
                if is_keypoint_input(path) or image_files(path):
                    found.append(path)
            except OSError:  # a folder that may not be read: opening it says so, and the others go on
                found.append(path)
        elif path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES or is_keypoint_input(path):
            found.append(path)
    if not found:
        raise FootageError(f"{folder} holds no footage.", "Give a folder with videos, images or keypoint files.")
    return found


def numbered(path: Path, number: int) -> Path:
    """Where one of several people goes who do not share a file: `shot_01.fbx`."""
    return path.with_name(f"{path.stem}_{number:02d}{path.suffix}")


def take_beside(path: Path) -> Path:
    """The folder that keeps what was found for an output until all of its files are written."""
    return path.with_name(f"{path.name}.take")


def is_made(target: Path) -> bool:
    """Whether a result is there: the file itself, or one for each person with none missing."""
    return target.exists() or (numbered(target, 1).exists() and not take_beside(target).exists())


def output_names(inputs: list[Path], folder: Path, suffix: str) -> list[Path]:
    """`shot.mp4` becomes `shot<suffix>`. Where two inputs share a stem, or one's stem is what another's first person
    would be called, their whole names are kept."""
    stems = [p.stem if p.is_file() else p.name for p in inputs]
    firsts = {match[1] for stem in stems if (match := re.fullmatch(r"(.+)_\d{2,}", stem))}
    return [folder / f"{stem if stems.count(stem) == 1 and stem not in firsts else path.name}{suffix}"
            for path, stem in zip(inputs, stems)]


def run_batch(folder: Path, out: Path, suffix: str, work: Callable[[Path, Path], str],
              started: Callable[[int, int, Path], None] | None = None) -> list[Outcome]:
    """Calls work(input, output) -> message for every footage file whose output is missing; writes report.json.

    Errors a user can cure are recorded and the next file follows, and so are bugs (with their type); a cancel stops.
    """
    if suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES | {".npz"} and folder.resolve() == out.resolve():
        raise ExportError(f"{out}: {suffix} results beside the footage would be taken for footage themselves.",
                          "Name another folder for the results.")
    inputs = [path for path in footage_in(folder) if path.resolve() != out.resolve()]
    outcomes: list[Outcome] = []
    for number, (source, target) in enumerate(zip(inputs, output_names(inputs, out, suffix)), 1):
        if is_made(target):
            outcomes.append(Outcome(str(source), str(target), "skipped", "its result is there"))
        else:
            if started:
                started(number, len(inputs), source)
            begun = time.monotonic()
            outcome = Outcome(str(source), str(target), "done")
            try:
                outcome.message = work(source, target)
            except Cancelled:
                raise
            except Pose2MeshError as error:
                outcome.state, outcome.message = "failed", str(error)
            except Exception as error:  # one file's bug must not cost the others
                outcome.state, outcome.message = "failed", f"Unexpected failure: {type(error).__name__}: {error}"
            outcome.seconds = round(time.monotonic() - begun, 1)
            outcomes.append(outcome)
        out.mkdir(parents=True, exist_ok=True)
        report = {"schema": 1, "results": [asdict(o) for o in outcomes], "waiting": len(inputs) - len(outcomes)}
        write_file(out / REPORT, json.dumps(report, indent=1).encode())
    return outcomes
