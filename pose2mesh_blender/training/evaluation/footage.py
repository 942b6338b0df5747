"""Footage without ground truth, solved by the product's own pipeline: what is wrong without knowing what is right.

Contacts are found here from the keypoints alone, so that the measure does not share its idea of a contact with the part
of the product that plants the feet. The camera has to stand still for that.
"""
from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from ...core.body import Body
from ...core.camera import project
from ...core.footage import open_footage
from ...core.network import joints as J
from ...core.network.engine import Network
from ...core.pipeline import Settings, detect_take, solve_take, take_for_footage
from ...core.skeletons import H36M17, SMPL24, SMPL24_PARENTS
from ...core.take import Take
from ..metrics import acceleration, over_clips
from .contacts import standing

CERTAIN = 0.3  # confidence of a keypoint that counts
STANDS = 0.12  # body heights a second below which a foot stands in the picture
SHORTEST = 0.2  # seconds of a contact
SWAP = 0.15  # metres that a limb must seem to jump before it counts as exchanged with its partner
FEET = {"left": (15, 17, 18, 19), "right": (16, 20, 21, 22)}  # body23: ankle, toes, heel
PAIRS = [(H36M17.index(f"left_{n}"), H36M17.index(f"right_{n}"))
         for n in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]
BONES = [j for j in range(24) if any(part in SMPL24[j] for part in ("knee", "ankle", "elbow", "wrist"))]
COLUMNS = ("reprojection %", "bone spread %", "jitter of the pose", "jitter of the root", "contact s", "foot slide",
           "flips per 1000", "sunk, mean", "sunk, worst 5 %", "floating")


def detected_take(path: Path, work: Path) -> Take:
    """The take of a video with its detections, open for writing; kept in `work`, so that it is detected only once."""
    footage, settings = open_footage(path), Settings(device="cpu")
    work.mkdir(parents=True, exist_ok=True)
    take = take_for_footage(footage, work / f"{path.stem}-{footage.identity()['sha256'][:8]}.take", settings)
    detect_take(footage, take, device="cpu")
    return take


def measure_footage(network: Network, body: Body, paths: list[Path], work: Path) -> dict[str, dict]:
    """Row per clip and person -> COLUMNS; the last row, "all", has their means as Estimates over clips.

    Units: % of the person's height in the picture, % of a bone's length, mm/frame² at 30 fps, seconds, mm per second
    of contact, events, mm below the floor, and mm of the lowest vertex above it during a contact.
    """
    table: dict[str, dict] = {}
    clips = []
    for number, path in enumerate(paths):
        with detected_take(path, work) as take:
            take.clear_solved()  # maybe by another network
            solve_take(take, network, Settings(device="cpu"), body=body)
            for person in take.people:
                name = path.stem if len(take.people) == 1 else f"{path.stem}, {take.name(person)}"
                table[name] = measure_person(take, person, body)
                clips.append(number)
    if len(paths) > 1:
        rows = list(table.values())
        table["all"] = {c: over_clips(np.array([row.get(c, np.nan) for row in rows]), np.array(clips)) for c in COLUMNS}
    return table


def measure_person(take: Take, person: int, body: Body) -> dict[str, float]:
    """COLUMNS of one person of a solved take, NaN where there is nothing to measure."""
    translation = take.translation(person).astype(np.float64)
    rows = np.flatnonzero(np.isfinite(translation[:, 0]))
    out: dict[str, float] = {"frames": float(len(rows))}
    if len(rows) < 3:
        return out
    world, times, joints = take.world_from_camera, take.timestamps, take.joints(person).astype(np.float64)
    keypoints, fps = take.keypoints(person).astype(np.float64), 1 / float(np.median(np.diff(times)))
    count = len(translation)
    points, lowest, height = (np.full(shape, np.nan) for shape in ((count, J.COUNT, 3), (count,), (count,)))
    for row in rows:
        vertices = take.vertices(person)[row][None].astype(np.float64)
        points[row] = J.lift_points(vertices, joints[row][None], body)[0]
        placed = vertices[0] + translation[row]
        lowest[row] = (placed @ world[2, :3] + world[2, 3]).min()
        height[row] = np.ptp(project(placed, take.intrinsics), axis=0).max()
    seen = project(J.detector_points(points, 1.0) + translation[:, None], take.intrinsics)
    off = np.linalg.norm(seen - keypoints[..., :2], axis=-1) / height[:, None]
    out["reprojection %"] = _mean(100 * off[keypoints[..., 2] > CERTAIN])
    smpl = points[rows][:, J.SMPL]
    bones = np.linalg.norm(smpl[:, BONES] - smpl[:, [SMPL24_PARENTS[j] for j in BONES]], axis=-1)
    out["bone spread %"] = float(100 * (bones.std(0) / bones.mean(0)).mean())
    pose = points[:, J.H36M]
    out["jitter of the pose"] = _mean(1000 * np.linalg.norm(acceleration(pose, fps), axis=-1))
    out["jitter of the root"] = _mean(1000 * np.linalg.norm(acceleration(translation, fps), axis=-1))
    planted = {side: contacts(keypoints[:, columns], height, fps) for side, columns in FEET.items()}
    out["contact s"], out["foot slide"] = _slide(points, translation, planted, world, fps)
    out["flips per 1000"] = 1000 * _flips(pose, rows) / len(rows)
    sunk = 1000 * np.maximum(-lowest[rows], 0)
    out["sunk, mean"] = float(sunk.mean())
    out["sunk, worst 5 %"] = float(np.sort(sunk)[-max(1, len(sunk) // 20):].mean())
    out["floating"] = _mean(1000 * np.maximum(lowest[planted["left"] | planted["right"]], 0))
    return out


def _slide(points: np.ndarray, translation: np.ndarray, planted: dict[str, np.ndarray], world: np.ndarray, fps: float
           ) -> tuple[float, float]:
    """Seconds of contact of both feet, and mm that a standing foot slides over the floor in a second of it.

    A foot slides as fast as the slowest of its heel and toes: it may roll.
    """
    feet = points[:, J.FEET] + translation[:, None]
    steps = np.linalg.norm(np.diff(feet @ world[:2, :3].T, axis=0), axis=-1) * fps * 1000
    seconds, slid = 0.0, 0.0
    for side, columns in (("left", slice(0, 3)), ("right", slice(3, 6))):
        stands = planted[side]
        both = stands[1:] & stands[:-1] & np.isfinite(steps[:, 0])
        seconds += both.sum() / fps
        slid += steps[:, columns].min(1)[both].sum() / fps
    return seconds, slid / seconds if seconds else float("nan")


def contacts(foot: np.ndarray, height: np.ndarray, fps: float) -> np.ndarray:
    """foot (T, K, 3) keypoints of one foot, height (T,) pixels of the person -> (T,) bool: it stands in the picture.

    All visible points move slower than `STANDS`, over at least `SHORTEST`, told from differences over a tenth of a
    second (a still foot's keypoints tremble from frame to frame).
    """
    reach = max(1, round(0.05 * fps))
    xy = np.where(foot[..., 2:] > CERTAIN, foot[..., :2], np.nan)
    speed = np.full(foot.shape[:2], np.nan)
    speed[reach:-reach] = np.linalg.norm(xy[2 * reach:] - xy[:-2 * reach], axis=-1) * fps / (2 * reach)
    speed /= np.where(np.isfinite(height), height, np.nan)[:, None]
    known = np.isfinite(speed)
    return standing(known.any(1) & (np.where(known, speed, 0).max(1) < STANDS), round(SHORTEST * fps))


def _flips(pose: np.ndarray, rows: np.ndarray) -> int:
    """How often limbs of (T, 17, 3) change places with their partners from one frame to the next: at least two pairs
    that fit better exchanged, by `SWAP`."""
    flips = 0
    for before, after in pairwise(rows):
        if after != before + 1:
            continue
        swapped = 0
        for left, right in PAIRS:
            a, b = pose[before, [left, right]], pose[after, [left, right]]
            as_is = np.linalg.norm(b - a, axis=-1)
            crossed = np.linalg.norm(b[::-1] - a, axis=-1)
            swapped += bool(as_is.sum() > crossed.sum() and as_is.min() > SWAP)
        flips += swapped >= 2
    return flips


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
