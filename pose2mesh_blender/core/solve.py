"""From the keypoints of a whole take to motion, and from motion to meshes. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .body import Body, embedded_body
from .camera import VISIBLE, pixels_to_rays
from .network import joints as J
from .network.engine import Network
from .placement import fit_translation
from .refine import SPREAD, pull
from .smoothing import pieces, smooth_track, strength

CHUNK = 16  # frames meshed at once: 16 x 6890 vertices, 1.3 MB
FEWEST = 5  # keypoints needed to solve a frame
# A take's frames share one body; only what differs between people beyond this many deviations is believed.
SHAPE_LIMIT = 2.5
BY_HAND = 30.0  # weight of a joint that a person has set, against the smoother's penalty and the detector's 1


@dataclass(frozen=True)
class SolveSettings:
    smooth: float = 0.5  # 0 = raw .. 1 = strongest
    device: str = "auto"
    height: float | None = None  # metres; None = as the network guesses


@dataclass(frozen=True)
class Motion:
    """One person over a take. Camera axes, metres; rows without a person hold NaN."""

    joints: np.ndarray  # (T, 71, 3) root-relative, see network/joints.py
    shape: np.ndarray  # (K,) body shape, one for the take
    scale: float  # factor on body and path that gives the wanted height
    translation: np.ndarray  # (T, 3) H36M pelvis
    valid: np.ndarray  # (T,) bool


def solve_motion(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network,
                 settings: SolveSettings = SolveSettings(), detector: str = "movenet",
                 tick: Callable[[float], None] | None = None, body: Body | None = None,
                 shape: np.ndarray | None = None, step: float | None = None,
                 by_hand: np.ndarray | None = None) -> Motion:
    """Lifts, smooths and places one person.

    keypoints: (T, 23, 3) body23 pixels + confidence, NaN / 0 where absent; timestamps: (T,) seconds; intrinsics:
    (3, 3); detector: "movenet" for the bundled detectors, "other" for keypoints from elsewhere (joint definitions
    differ).
    Gaps of up to a quarter of a second are bridged when smoothing is on. tick(share 0..1) is called now and then; what
    it raises ends the work. body: the one that `mesh_frames` will get; settings.height is its height. shape: (K,) of
    the person and step: seconds between frames, where these frames are part of more; None = as they say themselves.
    by_hand: (T, 23) bool, keypoints that a person has set: no doubt and no smoothing is to move the mesh off them.
    """
    count, tick = len(keypoints), tick or (lambda share: None)
    definition, drawn = (1.0, 1.0) if detector == "movenet" else (0.0, 0.6)  # other detectors lie in between
    confidence = np.where(np.isfinite(keypoints).all(-1), keypoints[..., 2], 0.0).astype(np.float64)
    enough = (confidence > VISIBLE).sum(1) >= FEWEST
    joints = np.full((count, J.COUNT, 3), np.nan)
    translation, valid = np.full((count, 3), np.nan), enough.copy()
    shapes = np.zeros((count, network.shape_count), np.float32)
    for rows in _chunks(np.flatnonzero(enough), 512):
        lift = network.lift(keypoints[rows], intrinsics, definition)
        joints[rows], shapes[rows] = lift.joints, lift.shape
    trust = confidence.mean(1)
    if shape is None:
        shape = np.average(shapes[enough], axis=0, weights=trust[enough] + 1e-3) if enough.any() else shapes.sum(0)
        shape = np.clip(shape, -SHAPE_LIMIT, SHAPE_LIMIT).astype(np.float32)
    rays = pixels_to_rays(keypoints[..., :2].astype(np.float64), intrinsics)
    by_hand = np.zeros(confidence.shape, bool) if by_hand is None else by_hand & (confidence > 0)
    pulled = enough & by_hand.any(1)
    for rows, rounds in ((np.flatnonzero(enough & ~pulled), 2), (np.flatnonzero(pulled), 5)):
        for rows in _chunks(rows, CHUNK):
            tick(0.8 * rows[0] / count)
            joints[rows] = pull(joints[rows], rays[rows], confidence[rows], drawn,
                                lambda found: network.points(found, np.tile(shape, (len(found), 1))), rounds,
                                by_hand[rows])
    penalty = _penalty(settings.smooth, step or _step(timestamps)) if count > 2 or step else 0.0
    stretches = pieces(enough, timestamps, 0.25 if penalty else 0.0)
    for piece in stretches:
        weight = np.repeat(np.where(enough[piece], trust[piece] + .05, 0.0)[:, None], J.COUNT, 1)
        weight += BY_HAND * (1 + penalty) * (by_hand[piece] @ (SPREAD.T >= 1)) * enough[piece, None]
        joints[piece] = smooth_track(np.nan_to_num(joints[piece]), weight, penalty, scale=.06)
        valid[piece] |= penalty > 0
    for rows in _chunks(np.flatnonzero(enough), CHUNK):
        tick(0.8 + 0.2 * rows[0] / count)
        # The mesh's own joints, not the lifter's: its bones have one length over the whole take.
        points = network.points(joints[rows], np.tile(shape, (len(rows), 1)))
        seen = J.detector_points(points, drawn)
        weights = np.square(confidence[rows]) * np.where(confidence[rows] > .15, 1, .2)
        translation[rows] = fit_translation(seen, rays[rows], weights)
    for piece in stretches:
        translation[piece] = _smooth_path(translation[piece], np.where(enough[piece], trust[piece] + .05, 0), penalty)
    scale = settings.height / _height(body, shape) if settings.height else 1.0
    return Motion(joints.astype(np.float32), shape, scale, (translation * scale).astype(np.float32), valid)


def mesh_frames(motion: Motion, network: Network, indices: np.ndarray, body: Body | None = None) -> np.ndarray:
    """Vertices (len(indices), 6890, 3) float32, metres, H36M pelvis at 0, camera axes; indices must be valid rows.

    body: a foreign body with SMPL's connectivity takes over the pose; its shape is fitted to the solved one.
    """
    out = np.empty((len(indices), 6890, 3), np.float32)
    foreign = _foreign(body)
    shape = motion.shape if foreign is None else fit_shape(foreign, motion.shape)
    for rows in _chunks(np.arange(len(indices)), CHUNK):
        mesh = network.mesh(motion.joints[np.asarray(indices)[rows]], np.tile(motion.shape, (len(rows), 1)))
        vertices = mesh.vertices
        if foreign is not None:
            vertices, _ = foreign.pose(mesh.rotations, np.tile(shape, (len(rows), 1)))
            vertices = vertices - foreign.regress("h36m17", vertices)[:, :1]
        out[rows] = vertices * motion.scale
    return out


def window_of(row: int, timestamps: np.ndarray, settings: SolveSettings, glimpse: bool = False) -> tuple[int, int]:
    """The rows (first, last) to solve again after a keypoint of `row` has changed: as far as the change reaches, and
    as many more as these need to come out as in the whole take. glimpse: so many that `row` itself does.
    """
    # the smoother's answer to one sample falls by e within so many rows
    fall = np.sqrt(2) * _penalty(settings.smooth, _step(timestamps)) ** 0.25
    far = int(np.ceil((3.5 if glimpse else 9.0) * fall)) + 1
    return max(0, row - far), min(len(timestamps) - 1, row + far)


def solve_rows(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, first: int,
               last: int, shape: np.ndarray, settings: SolveSettings = SolveSettings(), detector: str = "movenet",
               body: Body | None = None, by_hand: np.ndarray | None = None) -> Motion:
    """`solve_motion` for the rows first..last (see `window_of`) of a take whose shape is known; row 0 is `first`.

    keypoints, timestamps, by_hand: of the whole take, as for `solve_motion`.
    """
    rows = slice(first, last + 1)
    return solve_motion(keypoints[rows], timestamps[rows], intrinsics, network, settings, detector, body=body,
                        shape=shape, step=_step(timestamps), by_hand=None if by_hand is None else by_hand[rows])


def fit_shape(body: Body, shape: np.ndarray) -> np.ndarray:
    """Shape coefficients (K,) of another body whose rest surface lies nearest to the embedded body with `shape`."""
    target, _ = embedded_body().rest(shape)
    basis = body.shapedirs - body.shapedirs.mean(1, keepdims=True)  # where it stands does not matter
    difference = target - body.v_template
    difference = (difference - difference.mean(0)).ravel()
    basis = basis.reshape(len(basis), -1)
    lhs = basis @ basis.T + 1e-3 * len(target) * np.diag(np.square(basis).mean(1))
    return np.clip(np.linalg.solve(lhs, basis @ difference), -5, 5).astype(np.float32)


def _foreign(body: Body | None) -> Body | None:
    return None if body is embedded_body() else body


def _height(body: Body | None, shape: np.ndarray) -> float:
    """Metres from sole to crown; shape: of the embedded body."""
    foreign = _foreign(body)
    rest, _ = embedded_body().rest(shape) if foreign is None else foreign.rest(fit_shape(foreign, shape))
    return float(np.ptp(rest[:, 1]))


def _penalty(smooth: float, step: float) -> float:
    return strength(smooth, 1 / max(step, 1e-3))


def _step(timestamps: np.ndarray) -> float:
    """Seconds from frame to frame, as a rule."""
    return float(np.median(np.diff(timestamps))) if len(timestamps) > 1 else 0.0


def _smooth_path(path: np.ndarray, weight: np.ndarray, penalty: float) -> np.ndarray:
    """Direction and log distance apart: one view sees the distance 20 times worse than the direction."""
    if penalty <= 0:
        return path
    weight = np.where(np.isfinite(path).all(1), weight, 0.0)
    path = np.where(np.isfinite(path), path, [0.0, 0.0, 1.0])
    direction = smooth_track(path[:, None, :2] / path[:, None, 2:], weight[:, None], penalty, scale=.03)[:, 0]
    distance = np.exp(smooth_track(np.log(path[:, None, 2:]), weight[:, None], penalty * 300, scale=.08)[:, 0])
    return np.concatenate([direction * distance, distance], 1)


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i:i + size] for i in range(0, len(rows), size)]
