"""What is measured on: held-out poses, seen in ways that a lifter finds hard, and held-out takes."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..sequences import SequenceSampler
from ..synthetic import LEGS, Motion, axis_angle_to_matrix, seated, upright
from .shots import Shots, from_takes

Random = np.random.Generator
FROM_KNEES = slice(13, 23)  # body23
FEET = slice(17, 23)
LYING = 0.5  # cosine between trunk and vertical below which somebody lies
MISSING = 0.3
FPS, TAKE = 30.0, 90  # of a take: frames a second, and frames


@dataclass(frozen=True)
class Condition:
    """One row of the table. Without anything said it is a random view of a held-out pose with a detector's errors."""

    name: str
    clean: bool = False  # exact projections of all keypoints
    frames: Callable[[Motion, int], np.ndarray] | None = None  # which frames; None = evenly over each clip
    pose: Callable[[np.ndarray, Random], np.ndarray] | None = None  # changes local rotations (N, 24, 3, 3)
    legs: Callable[[int, Random], np.ndarray] | None = None  # (N, 6, 3, 3) local rotations of LEGS, held for a take
    camera: Callable[[int, Random], np.ndarray] | None = None  # (N, 3, 3) world (y up) -> y up axes of the camera
    seen: Callable[[np.ndarray, Random], np.ndarray] | None = None  # changes confidences (N, 23)


def turned(axis: int, radians: np.ndarray) -> np.ndarray:
    """(N,) angles about x, y or z -> (N, 3, 3)."""
    v = np.zeros((len(radians), 3), np.float32)
    v[:, axis] = radians
    return axis_angle_to_matrix(v)


def evenly(motion: Motion, per_clip: int) -> np.ndarray:
    """`per_clip` frames of every clip, at equal distances."""
    return np.concatenate([rows[np.linspace(0, len(rows) - 1, per_clip + 2)[1:-1].astype(int)]
                           for rows in _clips(motion)])


def _lying_frames(motion: Motion, per_clip: int) -> np.ndarray:
    """The frames of a clip that lie, where it has at least `per_clip` of them, else any."""
    out = []
    for rows in _clips(motion):
        flat = rows[_trunk_up(motion.local[rows]) < LYING]
        pool = flat if len(flat) >= per_clip else rows
        out.append(pool[np.linspace(0, len(pool) - 1, per_clip + 2)[1:-1].astype(int)])
    return np.concatenate(out)


def _clips(motion: Motion) -> list[np.ndarray]:
    return np.split(np.arange(len(motion.clip)), np.flatnonzero(np.diff(motion.clip)) + 1)


def _trunk_up(local: np.ndarray) -> np.ndarray:
    return local[:, 0, 1, 1]  # y of the pelvis's own up


def _laid_down(local: np.ndarray, rng: Random) -> np.ndarray:
    """Who does not lie already is tipped over to any side."""
    local, n = local.copy(), len(local)
    way, angle = rng.uniform(-np.pi, np.pi, n), np.radians(rng.uniform(75, 105, n))
    tip = axis_angle_to_matrix((np.stack([np.cos(way), 0 * way, np.sin(way)], 1) * angle[:, None]).astype(np.float32))
    rows = np.flatnonzero(_trunk_up(local) >= LYING)
    local[rows, 0] = tip[rows] @ local[rows, 0]
    return local


def _facing_us(local: np.ndarray, rng: Random) -> np.ndarray:
    """Turned about the vertical so that the pelvis faces +z, where a camera with yaw 0 stands."""
    local = local.copy()
    front = local[:, 0, :, 2]
    local[:, 0] = turned(1, -np.arctan2(front[:, 0], front[:, 2])) @ local[:, 0]
    return local


def _from_behind(n: int, rng: Random) -> np.ndarray:
    yaw = np.pi + np.radians(rng.uniform(-45, 45, n))
    return turned(0, rng.normal(.12, .2, n)) @ turned(1, yaw)


def _steep(n: int, rng: Random) -> np.ndarray:
    """Two in three from 45 to 75 degrees above, the others from 35 to 60 below."""
    pitch = np.where(rng.random(n) < 2 / 3, rng.uniform(45, 75, n), -rng.uniform(35, 60, n))
    return turned(0, np.radians(pitch)) @ turned(1, rng.uniform(-np.pi, np.pi, n))


def _without(joints: slice) -> Callable[[np.ndarray, Random], np.ndarray]:
    def drop(confidence: np.ndarray, rng: Random) -> np.ndarray:
        confidence = confidence.copy()
        confidence[:, joints] = 0
        return confidence

    return drop


def _gaps(confidence: np.ndarray, rng: Random) -> np.ndarray:
    return np.where(rng.random(confidence.shape) < MISSING, 0, confidence)


CLEAN, NOISY, STANDING = "clean, body23", "detector-like, body23", "standing"
CONDITIONS = (
    Condition(CLEAN, clean=True),
    Condition("clean, COCO-17", clean=True, seen=_without(FEET)),
    Condition(NOISY),
    Condition("detector-like, COCO-17", seen=_without(FEET)),
    Condition("legs out of the picture", seen=_without(FROM_KNEES)),
    Condition("30 % of the joints missing", seen=_gaps),
    Condition("seen from behind", pose=_facing_us, camera=_from_behind),
    Condition(STANDING, legs=upright),
    Condition("sitting, kneeling", legs=seated),
    Condition("lying", frames=_lying_frames, pose=_laid_down),
    Condition("steep camera", camera=_steep),
)
BY_NAME = {c.name: c for c in CONDITIONS}


class HeldOut(SequenceSampler):
    """Draws what is measured on from held-out motion; the same seed draws the same."""

    def stills(self, condition: Condition, per_clip: int, seed: int) -> Shots:
        """`per_clip` single frames of every clip, each with its own body, camera and detector."""
        self.rng, self._condition = np.random.default_rng(seed), condition
        frames = (condition.frames or evenly)(self.motion, per_clip)
        takes = self.batch(len(frames), 1, float(condition.clean), frames, self.motion.fps)
        shots = from_takes(takes, self.motion.clip[frames])
        if condition.seen is None:
            return shots
        return shots.seen_as(condition.seen(shots.keypoints[:, 0, :, 2], self.rng)[:, None])

    def takes(self, condition: Condition, seed: int, frames: int = TAKE) -> Shots:
        """One take round the middle of every clip; `frames`, `seen` and `camera` of a condition are for stills."""
        self.rng, self._condition = np.random.default_rng(seed), condition
        centres = np.array([rows[len(rows) // 2] for rows in _clips(self.motion)])
        takes = self.batch(len(centres), frames, float(condition.clean), centres, FPS)
        return from_takes(takes, self.motion.clip[centres])

    def _poses(self, times: np.ndarray, centres: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        local, travel = super()._poses(times, centres)
        if self._condition.pose:
            local[:, 0] = self._condition.pose(local[:, 0], self.rng)
        if self._condition.legs:
            local[:, :, LEGS] = self._condition.legs(len(local), self.rng)[:, None]
            travel *= .1
        return local, travel

    def _cameras(self, times: np.ndarray) -> np.ndarray:
        if self._condition.camera is None:
            return super()._cameras(times)
        return (np.diag([1, -1, -1]).astype(np.float32) @ self._condition.camera(len(times), self.rng))[:, None]
