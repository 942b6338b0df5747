"""With time: held-out takes solved as the product solves them, beside the same network asked frame by frame."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.body import Body
from ...core.network import joints as J
from ...core.network.engine import Network
from ...core.skeletons import H36M17, flip_permutation
from ...core.solve import mesh_frames
from ..metrics import acceleration, knee_flexion, over_clips, procrustes_error, speed_lag
from .conditions import FPS
from .contacts import standing
from .joint_errors import joint_errors
from .shots import Shots, lift_stills, solve_shot

SINGLE = "frame by frame"  # the way that the others' acceleration error is divided by
MESHED = 12  # frames in the middle of a take whose mesh is measured
FAST = 0.25  # share of the takes, the fastest, in which lag is measured
STANDS = 20.0  # degrees of knee flexion below which a leg is straight
STILL, SHORTEST = 0.15, 0.2  # m/s below which a foot point stands, if for so many seconds
ENDS = [i for i, n in enumerate(J.NAMES) if n in ("left_wrist", "right_wrist", "left_ankle", "right_ankle")]
FEET = list(range(J.FEET.start, J.FEET.stop))
FLIP = flip_permutation(H36M17)


@dataclass(frozen=True)
class Solved:
    """What one way of solving makes of a take of T frames, of which M are meshed; NaN where nothing was solved."""

    points: np.ndarray  # (T, 71, 3) root-relative
    vertices: np.ndarray  # (M, 6890, 3) root-relative
    root: np.ndarray | None  # (T, 3); None = it does not say
    valid: np.ndarray  # (T,) bool


Way = Callable[[Shots, int, np.ndarray], Solved]  # shots, person, rows to mesh


def as_take(network: Network) -> Way:
    """As the product does it: `solve_motion`, then `mesh_frames`."""

    def solve(shots: Shots, g: int, rows: np.ndarray) -> Solved:
        motion = solve_shot(network, shots, g)
        vertices = np.full((len(rows), 6890, 3), np.nan, np.float32)
        good = motion.valid[rows]
        if good.any():
            vertices[good] = mesh_frames(motion, network, rows[good])
        points = np.full((len(motion.valid), J.COUNT, 3), np.nan, np.float32)
        at = np.flatnonzero(motion.valid)
        if len(at):
            points[at] = network.points(motion.joints[at], np.tile(motion.shape, (len(at), 1)))
        return Solved(points, vertices, motion.translation, motion.valid)

    return solve


def frame_by_frame(network: Network) -> Way:
    """The single-frame network: lifter and MeshNet, no pull towards the picture, no smoothing, a shape per frame."""

    def solve(shots: Shots, g: int, rows: np.ndarray) -> Solved:
        one = shots.chosen(np.array([g]))
        joints, shape = (x[0] for x in lift_stills(network, one))
        valid = one.enough[0]
        points = network.points(joints, shape)
        points[~valid] = np.nan
        vertices = network.mesh(joints[rows], shape[rows]).vertices
        vertices[~valid[rows]] = np.nan
        return Solved(points, vertices, None, valid)

    return solve


def measure_takes(ways: dict[str, Way], body: Body, shots: Shots) -> dict[str, dict[str, Any]]:
    """Name of a way -> Estimates over clips. mm; acceleration in mm/frame² at 30 fps; lag in frames.

    Measured on the mesh of the middle frames: `joint_errors` of its 17 H36M joints, MPVPE, "acceleration" (error, of
    the same joints) and its ratio to that of SINGLE, "foot slide" (how fast a foot point moves against the true one
    while that stands, mm/s), "knee bias" (degrees, of truly straight knees) and "sides wrong" (frames whose joints
    would fit better with left and right exchanged: somebody from behind, solved from the front). On the points of all
    frames of the fastest takes: "lag" and "speed kept", the share of the true velocity of wrists and ankles in their
    fastest moments.
    """
    rows = middle(shots)
    truth = [shots.vertices(body, g, rows) for g in range(len(shots))]
    steps = np.linalg.norm(np.diff(shots.joints[:, :, ENDS], axis=1), axis=-1).mean((1, 2))
    fast = steps >= np.quantile(steps, 1 - FAST)
    table: dict[str, dict[str, Any]] = {}
    for name, way in ways.items():
        per_take, joints = [], []
        for g in range(len(shots)):
            solved = way(shots, g, rows)
            values = _on_mesh(body, solved, truth[g], shots, g, rows)
            if fast[g]:
                values |= _on_speed(solved, shots, g)
            values["solved %"] = 100 * solved.valid.mean()
            per_take.append(values)
            joints.append(body.regress("h36m17", solved.vertices))
        names = list(dict.fromkeys(n for values in per_take for n in values))
        true_joints = np.concatenate([body.regress("h36m17", v) for v in truth])
        table[name] = {**joint_errors(np.concatenate(joints), true_joints, np.repeat(shots.clip, len(rows))),
                       **{n: over_clips(np.array([v.get(n, np.nan) for v in per_take]), shots.clip) for n in names}}
    alone = table.get(SINGLE, {}).get("acceleration")
    for name, row in table.items():
        if alone is not None and name != SINGLE:
            row["acceleration ratio"] = row["acceleration"].mean / alone.mean
    return table


def middle(shots: Shots) -> np.ndarray:
    """The frames whose mesh is measured."""
    return (shots.times.shape[1] - MESHED) // 2 + np.arange(MESHED)


def _on_mesh(body: Body, solved: Solved, truth: np.ndarray, shots: Shots, g: int, rows: np.ndarray) -> dict:
    found = np.isfinite(solved.vertices[:, 0, 0])
    out: dict[str, float] = {}
    if not found.any():
        return out
    vertices, true = solved.vertices[found].astype(np.float64), truth[found].astype(np.float64)
    joints, true_joints = body.regress("h36m17", vertices), body.regress("h36m17", true)
    out["MPVPE"] = 1000 * np.linalg.norm(vertices - true, axis=-1).mean()
    out["PA-MPVPE"] = 1000 * procrustes_error(vertices, true).mean()
    right, swapped = (np.linalg.norm(j - true_joints, axis=-1).mean(1) for j in (joints, joints[:, FLIP]))
    out["sides wrong %"] = 100 * float((swapped < right).mean())
    bend = knee_flexion(joints) - (straight := knee_flexion(true_joints))
    out["knee bias"] = float(bend[straight < STANDS].mean()) if (straight < STANDS).any() else np.nan
    whole = _longest_run(found)
    if whole.stop - whole.start >= 3:
        path = np.full((len(rows), 17, 3), np.nan)
        path[found] = joints
        error = acceleration(path[whole], FPS) - acceleration(body.regress("h36m17", truth[whole]), FPS)
        out["acceleration"] = 1000 * np.linalg.norm(error, axis=-1).mean()
    if solved.root is not None:
        feet = np.full((len(rows), len(FEET), 3), np.nan)
        feet[found] = body.regress("feet6", vertices)
        feet += solved.root[rows, None]
        true_feet = shots.joints[g][:, FEET] + shots.root[g, :, None]
        step, true_step = np.diff(feet, axis=0) * FPS, np.diff(true_feet, axis=0) * FPS
        stands = standing(np.linalg.norm(true_step, axis=-1) < STILL, round(SHORTEST * FPS))[rows[:-1]]
        stands &= np.isfinite(step[..., 0])
        if stands.any():
            error = np.linalg.norm(step - true_step[rows[:-1]], axis=-1)
            out["foot slide"] = 1000 * error[stands].mean()
        out["root"] = 1000 * np.nanmean(np.linalg.norm(_centred(solved.root[rows]) - _centred(shots.root[g, rows]),
                                                       axis=-1))
    return out


def _on_speed(solved: Solved, shots: Shots, g: int) -> dict[str, float]:
    """Of wrists and ankles, root-relative."""
    run = _longest_run(solved.valid)
    if run.stop - run.start < 30:
        return {}
    found, true = (np.diff(points[run], axis=0) for points in (solved.points[:, ENDS], shots.joints[g][:, ENDS]))
    speed, true_speed = np.linalg.norm(found, axis=-1), np.linalg.norm(true, axis=-1)
    quick = true_speed >= np.quantile(true_speed, .9)
    kept = (found * true).sum(-1)[quick].sum() / np.square(true_speed[quick]).sum()  # along the true direction
    return {"lag": speed_lag(speed, true_speed), "speed kept %": float(100 * kept)}


def _centred(path: np.ndarray) -> np.ndarray:
    return path - np.nanmean(path, 0)


def _longest_run(good: np.ndarray) -> slice:
    """The longest unbroken stretch of (T,) bool."""
    edges = np.flatnonzero(np.diff(np.r_[False, good, False].astype(int)))
    if not len(edges):
        return slice(0, 0)
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return slice(int(starts[longest]), int(ends[longest]))
