"""People with known 3D and the keypoints a detector would have given; how the network and the product see them."""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...core.body import Body
from ...core.errors import KeypointFileError
from ...core.network.engine import Network
from ...core.solve import FEWEST, Motion, SolveSettings, solve_motion
from ..sequences import Takes

FOCAL, MIDDLE = 1000.0, 500.0  # pixels of the picture that keypoints are written for
INTRINSICS = np.array([[FOCAL, 0, MIDDLE], [0, FOCAL, MIDDLE], [0, 0, 1]])


@dataclass(frozen=True)
class Shots:
    """G people over T frames each. Camera axes (x right, y down, z forward), metres, root = H36M pelvis."""

    keypoints: np.ndarray  # (G, T, 23, 3) body23 pixels and confidence, 0 = absent
    times: np.ndarray  # (G, T) seconds
    bundled: np.ndarray  # (G,) bool: joints lie where our own detectors put them
    joints: np.ndarray  # (G, T, 71, 3) truth, root-relative
    rotations: np.ndarray  # (G, T, 24, 3, 3) truth, global
    shape: np.ndarray  # (G, K) truth
    root: np.ndarray  # (G, T, 3) truth
    clip: np.ndarray  # (G,) number of the clip that the motion is from

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def enough(self) -> np.ndarray:
        """(G, T) bool: frames with the keypoints that the product needs to solve them."""
        return (self.keypoints[..., 2] > 0.02).sum(-1) >= FEWEST

    def chosen(self, rows: np.ndarray) -> Shots:
        return Shots(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def seen_as(self, confidence: np.ndarray) -> Shots:
        """The same with other confidences (G, T, 23)."""
        return replace(self, keypoints=np.concatenate([self.keypoints[..., :2], confidence[..., None]], -1))

    def vertices(self, body: Body, g: int, frames: np.ndarray) -> np.ndarray:
        """The true mesh of person g: (len(frames), 6890, 3) root-relative."""
        vertices, _ = body.pose(self.rotations[g, frames], np.tile(self.shape[g], (len(frames), 1)))
        return vertices - body.regress("h36m17", vertices)[:, :1]


def from_takes(takes: Takes, clip: np.ndarray) -> Shots:
    """The sampler's takes (targets in each frame's virtual camera) turned back into the real camera."""
    g, t = takes.times.shape
    turn = takes.view.rotation.reshape(g, t, 3, 3).astype(np.float32)
    keypoints = np.concatenate([takes.rays * FOCAL + MIDDLE, takes.confidence[..., None]], -1)
    return Shots(keypoints.astype(np.float32), takes.times.astype(np.float64), takes.definition > 0,
                 takes.joints @ turn.transpose(0, 1, 3, 2), turn[:, :, None] @ takes.rotations, takes.shape, takes.root,
                 clip)


def read_rendered(path: Path, body: Body, preset: str = "accurate") -> Shots:
    """Rendered people with what our own detectors said of them: a file of `training.detections`. Every sequence counts
    as a clip. Raises KeypointFileError when the file is another one."""
    from ..detections import load  # brings the detectors

    try:
        data = load(path, body)
        data = {name: data[name] for name in (preset, "points", "rotations", "shape", "intrinsics", "timestamps")}
    except (OSError, ValueError, KeyError) as error:
        raise KeypointFileError(f"{path} holds no rendered people ({error}).",
                                "Make it with python -m pose2mesh_blender.training.detections.") from error
    keypoints, k = data[preset].astype(np.float64), data["intrinsics"]
    lens = np.stack([k[:, 0, 0], k[:, 1, 1]], -1)[:, None, None]
    keypoints[..., :2] = (keypoints[..., :2] - k[:, None, None, :2, 2]) / lens * FOCAL + MIDDLE
    keypoints = np.where(np.isfinite(keypoints).all(-1, keepdims=True), keypoints, 0.0)
    root, count = data["points"][:, :, :1], len(keypoints)
    return Shots(keypoints.astype(np.float32), data["timestamps"].astype(np.float64), np.ones(count, bool),
                 (data["points"] - root).astype(np.float32), data["rotations"].astype(np.float32),
                 data["shape"].astype(np.float32), root[:, :, 0], np.arange(count))


def lift_stills(network: Network, shots: Shots) -> tuple[np.ndarray, np.ndarray]:
    """The lifter, every frame by itself -> joints (G, T, 71, 3) root-relative and shape (G, T, K)."""
    g, t = shots.times.shape
    joints = np.zeros((g, t, 71, 3), np.float32)
    shape = np.zeros((g, t, network.shape_count), np.float32)
    for definition in (False, True):
        rows = np.flatnonzero(shots.bundled == definition)
        if len(rows):
            found = network.lift(shots.keypoints[rows].reshape(-1, 23, 3), INTRINSICS, float(definition))
            joints[rows], shape[rows] = found.joints.reshape(-1, t, 71, 3), found.shape.reshape(len(rows), t, -1)
    return joints, shape


def solve_shot(network: Network, shots: Shots, g: int, smooth: float = SolveSettings.smooth) -> Motion:
    """Person g as the product solves a take."""
    return solve_motion(shots.keypoints[g], shots.times[g], INTRINSICS, network, SolveSettings(smooth=smooth),
                        detector="movenet" if shots.bundled[g] else "other")


def solve_stills(network: Network, shots: Shots) -> np.ndarray:
    """Every first frame as the product solves a picture: points (G, 71, 3) of the template, NaN where it refuses."""
    out = np.full((len(shots), 71, 3), np.nan, np.float32)
    still = replace(shots, **{name: getattr(shots, name)[:, :1]
                              for name in ("keypoints", "times", "joints", "rotations", "root")})
    for g in range(len(shots)):
        motion = solve_shot(network, still, g)
        if motion.valid[0]:
            out[g] = network.points(motion.joints, motion.shape[None])[0]
    return out
