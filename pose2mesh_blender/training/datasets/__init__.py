"""Datasets that a studio has its own licence for, read in their official formats: `--data amass:FOLDER`.

A loader is one function, path -> clips (record.py), one file after another; this module turns clips into what the
samplers of `training` draw from: a Motion, and Pairs of pictures.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.body import Body
from ..synthetic import Motion, distinct_poses, realigned, rest_alignment
from . import amass, coco, h36m, muco, pw3d, surreal
from .files import DataError
from .pairs import Pairs, ShapeMatch, joined, view_pairs
from .record import FPS, Clip, takes

FORMATS: dict[str, Callable[[Path], Iterator[Clip]]] = {
    "amass": amass.clips, "h36m": h36m.clips, "coco": coco.clips, "3dpw": pw3d.clips, "surreal": surreal.clips,
    "muco": muco.clips}


@dataclass(frozen=True)
class Source:
    """One --data argument."""

    name: str
    path: Path


@dataclass(frozen=True)
class Data:
    """All sources together; None where they hold nothing of the kind."""

    train: Motion | None
    test: Motion | None
    pairs: Pairs | None  # of the training part
    left_out: int  # pictures that cannot be used without the SMPL file that they were fitted with
    seconds: float  # of training motion


def parse(text: str) -> Source:
    """`FORMAT:PATH`. Raises DataError."""
    name, colon, path = text.partition(":")
    if name not in FORMATS or not colon or not path:
        raise DataError(f"“{text}” does not name training data.", f"Write FORMAT:FOLDER, where FORMAT is one of: "
                        f"{', '.join(FORMATS)}.")
    return Source(name, Path(path))


def load(sources: Iterable[Source], body: Body, smpl: Body | None) -> Data:
    """Reads all sources once. smpl: the body that rotations and shapes refer to (it may be `body` itself); without it
    rest poses are taken to agree, and pictures are left out, because their shapes mean nothing on another body.
    Raises DataError."""
    align = np.tile(np.eye(3), (24, 1, 1)) if smpl is None or smpl is body else rest_alignment(smpl.J_template,
                                                                                              body.J_template)
    match = ShapeMatch(smpl, body) if smpl else None
    motion: dict[bool, list[tuple[np.ndarray, np.ndarray]]] = {False: [], True: []}
    pairs, left_out = [], 0
    for source in sources:
        for clip in FORMATS[source.name](source.path):
            motion[clip.held_out] += [(realigned(local, align), root) for local, root in takes(clip)]
            for view in clip.views if not clip.held_out else ():
                if match is None:
                    left_out += len(view.frames)
                else:
                    pairs.append(view_pairs(clip, view, realigned(clip.local, align), match))
    seconds = sum(len(local) for local, _ in motion[False]) / FPS
    return Data(_motion(motion[False], body), _motion(motion[True], body), joined(pairs) if pairs else None, left_out,
                seconds)


def merged(motions: Iterable[Motion | None], body: Body) -> Motion | None:
    """Motions of 30 frames a second as one; clips keep apart."""
    parts = [(m.local[rows], m.root[rows] if m.root is not None else np.zeros((len(rows), 3), np.float32))
             for m in motions if m is not None and len(m.local)
             for rows in np.split(np.arange(len(m.clip)), np.flatnonzero(np.diff(m.clip)) + 1)]
    return _motion(parts, body)


def _motion(parts: list[tuple[np.ndarray, np.ndarray]], body: Body) -> Motion | None:
    if not parts:
        return None
    local = np.concatenate([part for part, _ in parts])
    clip = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
    return Motion(local, clip, distinct_poses(local, body), FPS, np.concatenate([root for _, root in parts]))
