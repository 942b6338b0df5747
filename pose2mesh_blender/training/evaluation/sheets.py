"""Contact sheets: true and predicted meshes side by side, from the camera and from the side, for looking at."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ...core.body import Body
from ...core.camera import project
from ...core.network import joints as J
from ...core.network.engine import Network
from ...core.painter import paint
from ...core.skeletons import BODY23_BONES
from ..metrics import procrustes_error
from .shots import INTRINSICS, Shots, lift_stills
from .takes import MESHED, Way, middle

CELL, GAP, TEXT = 220, 6, 20  # pixels
PER_SHEET, COLUMNS = 8, 2
SHARE = 0.05
MIDDLE = MESHED // 2  # of a take's meshed frames
PAPER = (236, 238, 241)
TRUE_SKIN, FOUND_SKIN = (150, 172, 196), (205, 160, 128)
SIDE = np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]], np.float64)  # a camera at the picture's right edge, looking left


@dataclass(frozen=True)
class Case:
    """One frame to draw."""

    title: str
    truth: np.ndarray  # (6890, 3) camera space, metres
    found: np.ndarray  # the same
    keypoints: np.ndarray  # (23, 3) pixels of shots.INTRINSICS


def write_sheets(folder: Path, name: str, body: Body, errors: np.ndarray, clip: np.ndarray,
                 case: Callable[[int], Case]) -> list[Path]:
    """NAME-best.png, -median.png, -worst.png: cases out of the best, middle and worst 5 % of errors (N,), no clip
    twice while there are others. Returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.argsort(errors)
    order = order[np.isfinite(errors[order])]
    share = max(PER_SHEET, round(SHARE * len(order)))
    start = max(0, (len(order) - share) // 2)
    paths = []
    for kind, rows in (("best", order[:share]), ("median", order[start:start + share]), ("worst", order[::-1][:share])):
        path = folder / f"{name}-{kind}.png"
        cells = [_draw(body, case(int(i))) for i in _different(rows, clip)]
        cv2.imwrite(str(path), cv2.cvtColor(_tiled(cells), cv2.COLOR_RGB2BGR))
        paths.append(path)
    return paths


def _different(rows: np.ndarray, clip: np.ndarray) -> list[int]:
    first = [int(r) for i, r in enumerate(rows) if clip[r] not in clip[rows[:i]]]
    return (first + [int(r) for r in rows if int(r) not in first])[:PER_SHEET]


def _draw(body: Body, case: Case) -> np.ndarray:
    """Four cells: the truth (blue) with the keypoints and the prediction, then both from the side."""
    box = np.concatenate([project(case.truth, INTRINSICS), case.keypoints[case.keypoints[:, 2] > 0, :2]])
    low, high = np.percentile(box, [1, 99], axis=0)
    middle, size = (low + high) / 2, 1.15 * float((high - low).max())
    lens = INTRINSICS.copy()
    lens[:2] *= CELL / size
    lens[:2, 2] -= middle * CELL / size - CELL / 2
    centre = (case.truth.min(0) + case.truth.max(0)) / 2
    extent = 1.15 * float(np.ptp(case.truth, axis=0).max())
    far = np.array([[6 * CELL / extent, 0, CELL / 2], [0, 6 * CELL / extent, CELL / 2], [0, 0, 1]])
    cells = []
    for vertices, skin in ((case.truth, TRUE_SKIN), (case.found, FOUND_SKIN)):
        colours = np.broadcast_to(np.array(skin, np.float32), (len(body.faces), 3))
        aside = (vertices - centre) @ SIDE.T + [0, 0, 6]
        for points, intrinsics in ((vertices, lens), (aside, far)):
            cell = np.full((CELL, CELL, 3), PAPER, np.uint8)
            paint(cell, [points], body.faces, colours, intrinsics)
            cells.append(cell)
    _draw_keypoints(cells[0], case.keypoints, lens)
    row = np.concatenate([cells[0], cells[2], cells[1], cells[3]], 1)
    head = np.full((TEXT, row.shape[1], 3), PAPER, np.uint8)
    cv2.putText(head, case.title, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, .42, (40, 40, 40), 1, cv2.LINE_AA)
    return np.concatenate([head, row])


def _draw_keypoints(cell: np.ndarray, keypoints: np.ndarray, lens: np.ndarray) -> None:
    rays = (keypoints[:, :2] - INTRINSICS[:2, 2]) / np.diag(INTRINSICS)[:2]
    at = np.round(rays * np.diag(lens)[:2] + lens[:2, 2]).astype(int)
    there = keypoints[:, 2] > 0
    for a, b in BODY23_BONES:
        if there[a] and there[b]:
            cv2.line(cell, at[a].tolist(), at[b].tolist(), (200, 40, 60), 1, cv2.LINE_AA)
    for point, confidence in zip(at[there], keypoints[there, 2]):
        cv2.circle(cell, point.tolist(), 3 if confidence > .3 else 2, (200, 40, 60), -1 if confidence > .3 else 1)


def _tiled(cells: Sequence[np.ndarray]) -> np.ndarray:
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // COLUMNS)
    sheet = np.full((rows * (height + GAP), COLUMNS * (width + GAP), 3), 255, np.uint8)
    for i, cell in enumerate(cells):
        y, x = i // COLUMNS * (height + GAP), i % COLUMNS * (width + GAP)
        sheet[y:y + height, x:x + width] = cell
    return sheet


def still_sheets(folder: Path, name: str, network: Network, body: Body, shots: Shots) -> list[Path]:
    """Of single frames, ranked by the PA error of the lifted 71 points."""
    usable = shots.enough[:, 0]
    joints, shape = (x[:, 0] for x in lift_stills(network, shots))
    errors = np.where(usable, procrustes_error(joints, shots.joints[:, 0]).mean(1) * 1000, np.nan)

    def case(g: int) -> Case:
        root = shots.root[g, 0]
        found = network.mesh(joints[g:g + 1], shape[g:g + 1]).vertices[0]
        truth = shots.vertices(body, g, np.array([0]))[0]
        title = f"clip {shots.clip[g]}: PA {errors[g]:.0f}, MPVPE {_mpvpe(found, truth):.0f} mm"
        return Case(title, truth + root, found + root, _through_the_true_lens(shots, g, 0))

    return write_sheets(folder, name, body, errors, shots.clip, case)


def take_sheets(folder: Path, name: str, way: Way, body: Body, shots: Shots) -> list[Path]:
    """Of takes as the product solves them, the middle frame of each, ranked by MPVPE."""
    row = middle(shots)[MIDDLE:MIDDLE + 1]
    solved = [way(shots, g, row) for g in range(len(shots))]
    truths = [shots.vertices(body, g, row)[0] for g in range(len(shots))]
    errors = np.array([_mpvpe(s.vertices[0], t) for s, t in zip(solved, truths)])

    def case(g: int) -> Case:
        root = shots.root[g, row[0]]
        return Case(f"clip {shots.clip[g]}: MPVPE {errors[g]:.0f} mm", truths[g] + root, solved[g].vertices[0] + root,
                    _through_the_true_lens(shots, g, row[0]))

    return write_sheets(folder, name, body, errors, shots.clip, case)


def _through_the_true_lens(shots: Shots, g: int, frame: int) -> np.ndarray:
    """Keypoints (23, 3) without the error of the assumed focal length, so that they lie on the true mesh."""
    keypoints = shots.keypoints[g, frame].astype(np.float64)
    there = keypoints[:, 2] > 0
    true = project(shots.joints[g, frame, J.BODY] + shots.root[g, frame], INTRINSICS)[there] - INTRINSICS[:2, 2]
    seen = keypoints[there, :2] - INTRINSICS[:2, 2]
    keypoints[:, :2] = (keypoints[:, :2] - INTRINSICS[:2, 2]) * np.sum(true * seen) / np.sum(seen * seen)
    keypoints[:, :2] += INTRINSICS[:2, 2]
    return keypoints


def _mpvpe(found: np.ndarray, truth: np.ndarray) -> float:
    return float(1000 * np.linalg.norm(found - truth, axis=-1).mean())
