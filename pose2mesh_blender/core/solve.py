"""From the keypoints of a whole take to motion, and from motion to meshes. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import contacts
from .body import Body, embedded_body
from .camera import VISIBLE, confidence_of, pixels_to_rays
from .network import joints as J
from .network.engine import Lift, Network
from .network.windows import reach
from .placement import Floor, common_floor, fit_floor, fit_translation, gravity_up
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
    feet: bool = True  # feet that stand neither slide nor sink


@dataclass(frozen=True)
class Motion:
    """One person over a take. Camera axes, metres; rows without a person hold NaN."""

    joints: np.ndarray  # (T, 71, 3) root-relative, see network/joints.py
    shape: np.ndarray  # (K,) body shape, one for the take
    scale: float  # factor on body and path that gives the wanted height
    translation: np.ndarray  # (T, 3) H36M pelvis
    valid: np.ndarray  # (T,) bool
    footing: contacts.Footing | None = None  # None when the person was never seen to stand
    legs: np.ndarray | None = None  # (T, 2, 3, 3, 3) what turns thigh, shin and foot, left and right, to hold the feet


def solve_motion(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network,
                 settings: SolveSettings = SolveSettings(), detector: str = "movenet",
                 tick: Callable[[float], None] | None = None, body: Body | None = None,
                 shape: np.ndarray | None = None, step: float | None = None,
                 by_hand: np.ndarray | None = None, footing: contacts.Footing | None = None,
                 lift: Lift | None = None) -> Motion:
    """Lifts, smooths and places one person.

    keypoints: (T, 23, 3) body23 pixels + confidence, NaN / 0 where absent; timestamps: (T,) seconds; intrinsics:
    (3, 3); detector: "movenet" for the bundled detectors, "other" for keypoints from elsewhere (joint definitions
    differ).
    Gaps of up to a quarter of a second are bridged when smoothing is on. tick(share 0..1) is called now and then; what
    it raises ends the work. body: the one that `mesh_frames` will get; settings.height is its height. shape: (K,) of
    the person and step: seconds between frames, where these frames are part of more; None = as they say themselves.
    by_hand: (T, 23) bool, keypoints that a person has set: no doubt and no smoothing is to move the mesh off them.
    footing: of these rows, where they are part of a take whose contacts are known; None = find them, see `stand`.
    lift: of these rows, as the whole take gives it; None = lift them.
    """
    count, tick = len(keypoints), tick or (lambda share: None)
    drawn = 1.0 if detector == "movenet" else 0.6  # others lie between the network's two definitions
    confidence = confidence_of(keypoints)
    enough = _enough(confidence)
    joints = np.full((count, J.COUNT, 3), np.nan)
    translation, valid = np.full((count, 3), np.nan), enough.copy()
    shapes = np.zeros((count, network.shape_count), np.float32)
    if enough.any():
        lift = lift or _lift(keypoints, timestamps, intrinsics, network, detector)
        joints[enough], shapes = lift.joints[enough], lift.shape
    trust = confidence.mean(1)
    if shape is None:
        shape = np.average(shapes[enough], axis=0, weights=trust[enough] + 1e-3) if enough.any() else shapes.sum(0)
        shape = np.clip(shape, -SHAPE_LIMIT, SHAPE_LIMIT).astype(np.float32)
    rays = pixels_to_rays(keypoints[..., :2].astype(np.float64), intrinsics)
    by_hand = np.zeros(confidence.shape, bool) if by_hand is None else by_hand & (confidence > 0)
    pulled = enough & by_hand.any(1)
    for chosen, rounds in ((np.flatnonzero(enough & ~pulled), 2), (np.flatnonzero(pulled), 5)):
        for rows in _chunks(chosen, CHUNK):
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
    scale = settings.height / height_at_rest(body, shape) if settings.height else 1.0
    motion = Motion(joints.astype(np.float32), shape, scale, (translation * scale).astype(np.float32), valid)
    if not settings.feet:
        return motion
    if footing is None:
        return stand([motion], [keypoints], [by_hand], timestamps, intrinsics, network)[0]
    return _hold(motion, footing, _tracks(motion, keypoints, by_hand, timestamps, intrinsics, network))


def _enough(confidence: np.ndarray) -> np.ndarray:
    return (confidence > VISIBLE).sum(1) >= FEWEST


def _lift(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network,
          detector: str) -> Lift:
    enough = _enough(confidence_of(keypoints))
    return network.lift_take(np.where(enough[:, None, None], keypoints, 0.0), timestamps, intrinsics,
                             1.0 if detector == "movenet" else 0.0)


def stand(motions: Sequence[Motion], keypoints: Sequence[np.ndarray], by_hand: Sequence[np.ndarray],
          timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, resize: bool = True) -> list[Motion]:
    """The motions of everybody in a take, with feet that neither slide nor sink (core/contacts.py).

    motions: solved without `feet`; keypoints, by_hand: per person, as in `solve_motion`. Gravity is the same for all;
    resize: sizes may change so that the floor is, too. Who never stands still comes back as before.
    """
    tracks = [_tracks(*person, timestamps, intrinsics, network) for person in zip(motions, keypoints, by_hand)]
    if not any(tracks):
        return list(motions)
    up = gravity_up(np.concatenate([track.points[:, J.SMPL] for stretches in tracks for _, track in stretches]))
    soles = [_soles(motion, stretches, network) for motion, stretches in zip(motions, tracks)]
    runs = [[contacts.find_runs(track, up) for _, track in stretches] for stretches in tracks]
    prints = [(run.place - soles[person][run.spot] * up, min(run.seconds, 0.5), person)
              for person, found in enumerate(runs) for one in found for run in one]
    up, below = fit_floor(np.array([p for p, _, _ in prints]).reshape(-1, 3), np.array([w for _, w, _ in prints]),
                          np.array([person for _, _, person in prints], int), up, len(motions))
    out, sizes = [], common_floor(below) if resize else np.ones(len(motions))
    for motion, stretches, found, sole, depth, size in zip(motions, tracks, runs, soles, below, sizes):
        if not np.isfinite(depth):
            out.append(motion)
            continue
        floor, settled, count = Floor(up, float(depth)), [], len(motion.valid)
        shift, moves, level = np.zeros((count, 3)), np.zeros((count, 4, 3)), np.zeros((count, 2))
        for (rows, track), one in zip(stretches, found):
            one = contacts.settle(track, one, floor, sole)
            shift[rows] = contacts.path_shift(track, one)
            for last in (False, False, False, True):
                moved = replace(track, path=track.path + shift[rows])
                moves[rows], level[rows] = contacts.blend(moved, one)
                if not last:
                    shift[rows] += contacts.reach_shift(moved, moves[rows], level[rows], up)
            settled += [replace(r, first=r.first + rows.start, last=r.last + rows.start) for r in one]
        footing = contacts.Footing(floor, sole, tuple(settled), shift, moves, level, motion.scale * float(size))
        out.append(_hold(motion, footing, stretches))
    return out


def _soles(motion: Motion, tracks: list[tuple[slice, contacts.Track]], network: Network) -> np.ndarray:
    """(4,) see `contacts.soles`: measured on the meshes of a few frames."""
    if not tracks:
        return np.zeros(4)
    rows = np.concatenate([np.arange(rows.start, rows.stop) for rows, _ in tracks])
    points = np.concatenate([track.points for _, track in tracks])
    some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 6)).astype(int))
    still = np.tile(np.eye(3), (len(some), 2, 3, 1, 1))
    mesh = network.mesh(motion.joints[rows[some]], np.tile(motion.shape, (len(some), 1)), still)
    return contacts.soles(points[some], mesh.vertices, embedded_body())


def _hold(motion: Motion, footing: contacts.Footing, tracks: list[tuple[slice, contacts.Track]]) -> Motion:
    """motion, its root path and legs corrected for a footing of the same rows."""
    legs = np.tile(np.eye(3, dtype=np.float32), (len(motion.valid), 2, 3, 1, 1))
    for rows, track in tracks:
        track = replace(track, path=track.path + footing.shift[rows])
        here = footing.part(rows.start, rows.stop - 1)
        legs[rows] = contacts.place_legs(track, *contacts.blend(track, here.runs, here), here.floor, here.soles)
    path = (motion.translation / motion.scale + footing.shift) * footing.scale
    return replace(motion, scale=footing.scale, translation=path.astype(np.float32), legs=legs, footing=footing)


def _tracks(motion: Motion, keypoints: np.ndarray, by_hand: np.ndarray, timestamps: np.ndarray,
            intrinsics: np.ndarray, network: Network) -> list[tuple[slice, contacts.Track]]:
    """The unbroken stretches of a motion that is not corrected yet, and what was seen of them."""
    confidence = confidence_of(keypoints)
    rays = np.nan_to_num(pixels_to_rays(keypoints[..., :2].astype(np.float64), intrinsics))
    path, tracks = motion.translation.astype(np.float64) / motion.scale, []
    for rows in pieces(motion.valid, timestamps, 0.0):
        points = [contacts.straight_toes(*network.posture(motion.joints[part], np.tile(motion.shape, (len(part), 1))),
                                         embedded_body(), motion.shape)
                  for part in _chunks(np.arange(rows.start, rows.stop), CHUNK)]
        tracks.append((rows, contacts.Track(np.concatenate(points), path[rows], rays[rows], confidence[rows],
                                            by_hand[rows], timestamps[rows])))
    return tracks


def mesh_frames(motion: Motion, network: Network, indices: np.ndarray, body: Body | None = None) -> np.ndarray:
    """Vertices (len(indices), 6890, 3) float32, metres, H36M pelvis at 0, camera axes; indices must be valid rows.

    body: a foreign body with SMPL's connectivity takes over the pose; its shape is fitted to the solved one.
    """
    out = np.empty((len(indices), 6890, 3), np.float32)
    foreign = _foreign(body)
    shape = motion.shape if foreign is None else fit_shape(foreign, motion.shape)
    for rows in _chunks(np.arange(len(indices)), CHUNK):
        at = np.asarray(indices)[rows]
        mesh = network.mesh(motion.joints[at], np.tile(motion.shape, (len(rows), 1)),
                            None if motion.legs is None else motion.legs[at])
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
    far = int(np.ceil((3.5 if glimpse else 12.0) * fall)) + 1
    return max(0, row - far), min(len(timestamps) - 1, row + far)


def solve_rows(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, first: int,
               last: int, shape: np.ndarray, settings: SolveSettings = SolveSettings(), detector: str = "movenet",
               body: Body | None = None, by_hand: np.ndarray | None = None,
               footing: contacts.Footing | None = None) -> Motion:
    """`solve_motion` for the rows first..last (see `window_of`) of a take whose shape is known; row 0 is `first`.

    keypoints, timestamps, by_hand, footing: of the whole take, as for `solve_motion`.
    """
    rows = slice(first, last + 1)
    if footing is None:  # contacts are for whole takes to find
        settings = replace(settings, feet=False)
    # The lifter looks farther than anything else and costs least. It starts where one of its windows would.
    far = reach(timestamps)
    start = max(0, first - far) // far * far
    around = slice(start, last + 1 + far)
    lift = _lift(keypoints[around], timestamps[around], intrinsics, network, detector)
    lift = Lift(lift.joints[first - start:last + 1 - start], lift.shape[first - start:last + 1 - start])
    return solve_motion(keypoints[rows], timestamps[rows], intrinsics, network, settings, detector, body=body,
                        shape=shape, step=_step(timestamps), by_hand=None if by_hand is None else by_hand[rows],
                        footing=None if footing is None else footing.part(first, last), lift=lift)


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


def height_at_rest(body: Body | None, shape: np.ndarray) -> float:
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
