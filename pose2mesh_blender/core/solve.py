"""From the keypoints of a whole take to motion, and from motion to meshes. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .body import Body, embedded_body
from .camera import VISIBLE, confidence_of, pixels_to_rays
from .motion import Motion, chunks, one_shape, shapes_at
from .network import joints as J
from .network.engine import Lift, Network
from .network.windows import interleave, reach
from .placement import fit_translation
from .reach import within_reach
from .refine import SPREAD, pull
from .sides import agreed
from .smoothing import penalty_at, pieces, smooth_track, strength, whittaker
from .stages import Known, Stages, bits
from .standing import stand

FEWEST = 5  # keypoints needed to solve a frame
# A take's frames share one body; only what differs between people beyond this many deviations is believed.
SHAPE_LIMIT = 2.5
SHAPE_PACE = 0.2  # Hz: how fast a shape that is free may change
BY_HAND = 30.0  # weight of a joint that a person has set, against the smoother's penalty and the detector's 1
SAME = 1e-4  # metres: joints that are lifted anew and differ less are as they were
CALM = 300.0  # distances are smoothed with so many times the penalty of directions: one view sees them 20 times worse


@dataclass(frozen=True)
class SolveSettings:
    smooth: float = 0.5  # 0 = raw .. 1 = strongest
    height: float | None = None  # metres; None = as the network guesses
    feet: bool = True  # feet that stand neither slide nor sink
    free_shape: bool = False  # the body's shape may change over the take, slowly; else there is one


def solve_motion(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network,
                 settings: SolveSettings = SolveSettings(), detector: str = "movenet",
                 tick: Callable[[float], None] | None = None, body: Body | None = None,
                 shape: np.ndarray | None = None, by_hand: np.ndarray | None = None) -> Motion:
    """Lifts, smooths and places one person.

    keypoints: (T, 23, 3) body23 pixels + confidence, NaN / 0 where absent; timestamps: (T,) seconds; intrinsics:
    (3, 3); detector: "movenet" for the bundled detectors, "other" for keypoints from elsewhere (joint definitions
    differ).
    Gaps of up to a quarter of a second are bridged when smoothing is on. tick(share 0..1) is called now and then; what
    it raises ends the work. body: the one that `mesh_frames` will get; settings.height is its height. shape: (K,) or
    (T, K) of the person where it is known; None = as these frames say themselves. by_hand: (T, 23) bool, keypoints
    that a person has set: no doubt and no smoothing is to move the mesh off them, as far as its limbs reach.
    """
    keypoints = within_reach(keypoints, by_hand)
    count, tick = len(keypoints), tick or (lambda share: None)
    person = _Person(keypoints, timestamps, intrinsics, network, settings, detector, by_hand, _step(timestamps))
    lifted = np.full((count, J.COUNT, 3), np.nan, np.float32)
    shapes = np.zeros((count, network.shape_count), np.float32)
    if person.enough.any():
        lift = _lift(keypoints, timestamps, intrinsics, network, detector)
        lifted[person.enough], shapes = lift.joints[person.enough], lift.shape
    if shape is None:
        shape = _free_shape(shapes, person) if settings.free_shape else _one_shape(shapes, person)
    pulled = np.full(lifted.shape, np.nan)
    person.pull(lifted, pulled, shape, np.flatnonzero(person.enough), lambda share: tick(0.8 * share))
    joints, valid = person.smooth(pulled)
    path = np.full((count, 3), np.nan)
    person.place(joints, path, shape, np.flatnonzero(person.enough), lambda share: tick(0.8 + 0.2 * share))
    scale = scale_for(settings.height, body, shape)
    translation = person.smooth_path(path) * scale
    motion = Motion(joints.astype(np.float32), shape, scale, translation.astype(np.float32), valid,
                    Stages(lifted, pulled.astype(np.float32), path.astype(np.float32)))
    if not settings.feet:
        return motion
    return stand([motion], [keypoints], [person.by_hand], timestamps, intrinsics, network)[0]


@dataclass
class _Person:
    """Keypoints (T, 23, 3) of one person in the rows that are solved, and what is known about them."""

    keypoints: np.ndarray
    timestamps: np.ndarray
    intrinsics: np.ndarray
    network: Network
    settings: SolveSettings
    detector: str
    set_by_hand: np.ndarray | None  # (T, 23) bool
    step: float  # seconds from frame to frame

    def __post_init__(self) -> None:
        self.drawn = 1.0 if self.detector == "movenet" else J.DRAWN
        self.confidence = confidence_of(self.keypoints)
        self.enough = _enough(self.confidence)
        self.weight = np.where(self.enough, self.confidence.mean(1) + .05, 0.0)
        hand = np.zeros(self.confidence.shape, bool) if self.set_by_hand is None else self.set_by_hand
        self.by_hand = hand & (self.confidence > 0)
        whole = len(self.keypoints) > 2
        self.penalty = _penalty(self.settings.smooth, self.step) if whole else 0.0
        self.stretches = pieces(self.enough, self.timestamps, 0.25 if self.penalty else 0.0)

    def pull(self, lifted: np.ndarray, pulled: np.ndarray, shape: np.ndarray, rows: np.ndarray,
             tick: Callable[[float], None] = lambda share: None) -> None:
        """Lifted joints (T, 71, 3) of these rows (N,), onto the keypoints."""
        hand = self.by_hand[rows].any(1)
        for chosen, rounds in ((rows[~hand], 2), (rows[hand], 5)):
            for part in chunks(chosen):
                tick(part[0] / len(self.keypoints))
                body = shapes_at(shape, part)
                pulled[part] = pull(lifted[part].astype(np.float64), *self._seen(lifted[part], part), self.drawn,
                                    lambda found, body=body: self.network.points(found, body),  # type: ignore
                                    rounds, self.by_hand[part])

    def _seen(self, joints: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rays and confidence of rows (N,), with the sides that their joints (N, 71, 3) have."""
        keypoints = agreed(joints, self.keypoints[rows], self.intrinsics, self.drawn, self.by_hand[rows])
        return pixels_to_rays(keypoints[..., :2].astype(np.float64), self.intrinsics), confidence_of(keypoints)

    def smooth(self, pulled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joints (T, 71, 3) over time, with gaps bridged, and which rows (T,) have them."""
        joints, valid = pulled.astype(np.float64), self.enough.copy()
        for piece in self.stretches:
            weight = np.repeat(self.weight[piece, None], J.COUNT, 1)
            hand = self.by_hand[piece] @ (SPREAD.T >= 1)
            weight += BY_HAND * (1 + self.penalty) * hand * self.enough[piece, None]
            joints[piece] = smooth_track(np.nan_to_num(joints[piece]), weight, self.penalty, scale=.06)
            valid[piece] |= self.penalty > 0
        return joints, valid

    def place(self, joints: np.ndarray, path: np.ndarray, shape: np.ndarray, rows: np.ndarray,
              tick: Callable[[float], None] = lambda share: None) -> None:
        """Where the keypoints of these rows (N,) put the joints, into path (T, 3)."""
        for part in chunks(rows):
            tick(part[0] / len(self.keypoints))
            # The mesh's own joints, not the lifter's: its bones have one length over the whole take.
            seen = J.detector_points(self.network.points(joints[part], shapes_at(shape, part)), self.drawn)
            rays, sure = self._seen(joints[part], part)
            path[part] = fit_translation(seen, rays, np.square(sure) * np.where(sure > .15, 1, .2))

    def smooth_path(self, path: np.ndarray) -> np.ndarray:
        """(T, 3): direction and log distance apart, with gaps bridged."""
        out = path.astype(np.float64)
        for piece in self.stretches if self.penalty > 0 else ():
            weight = np.where(np.isfinite(path[piece]).all(1), self.weight[piece], 0.0)
            known = np.where(np.isfinite(path[piece]), path[piece], [0.0, 0.0, 1.0])
            direction = smooth_track(known[:, None, :2] / known[:, None, 2:], weight[:, None], self.penalty,
                                     scale=.03)[:, 0]
            distance = np.exp(smooth_track(np.log(known[:, None, 2:]), weight[:, None], self.penalty * CALM,
                                           scale=.08)[:, 0])
            out[piece] = np.concatenate([direction * distance, distance], 1)
        return out


def _one_shape(shapes: np.ndarray, person: _Person) -> np.ndarray:
    """(T, K) as each frame says -> (K,)."""
    if not person.enough.any():
        return shapes.sum(0)
    mean = np.average(shapes[person.enough], axis=0, weights=person.confidence.mean(1)[person.enough] + 1e-3)
    return np.clip(mean, -SHAPE_LIMIT, SHAPE_LIMIT).astype(np.float32)


def _free_shape(shapes: np.ndarray, person: _Person) -> np.ndarray:
    """(T, K) as each frame says -> (T, K) that changes slowly; where nobody is seen it goes from one to the next."""
    if person.enough.any() and len(shapes) > 2:
        rate = 1 / max(person.step, 1e-3)
        shapes = whittaker(shapes[:, None], person.weight[:, None], penalty_at(SHAPE_PACE, rate))[:, 0]
    return np.clip(shapes, -SHAPE_LIMIT, SHAPE_LIMIT).astype(np.float32)


def _enough(confidence: np.ndarray) -> np.ndarray:
    return (confidence > VISIBLE).sum(1) >= FEWEST


def _lift(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network,
          detector: str) -> Lift:
    enough = _enough(confidence_of(keypoints))
    return network.lift_take(np.where(enough[:, None, None], keypoints, 0.0), timestamps, intrinsics,
                             1.0 if detector == "movenet" else 0.0)


def mesh_frames(motion: Motion, network: Network, indices: np.ndarray, body: Body | None = None) -> np.ndarray:
    """Vertices (len(indices), 6890, 3) float32, metres, H36M pelvis at 0, camera axes; indices must be valid rows.

    body: a foreign body with SMPL's connectivity takes over the pose; its shape is fitted to the solved one.
    """
    out = np.empty((len(indices), 6890, 3), np.float32)
    foreign = _foreign(body)
    own = None
    if foreign is not None and motion.shape.ndim == 1:
        own = fit_shape(foreign, motion.shape)
    elif foreign is not None:
        own = np.stack([fit_shape(foreign, one) for one in motion.shape[indices]])
    for rows in chunks(np.arange(len(indices))):
        at = np.asarray(indices)[rows]
        mesh = network.mesh(motion.joints[at], shapes_at(motion.shape, at),
                            None if motion.legs is None else motion.legs[at])
        vertices = mesh.vertices
        if foreign is not None and own is not None:
            vertices, _ = foreign.pose(mesh.rotations, shapes_at(own, rows))
            vertices = vertices - foreign.regress("h36m17", vertices)[:, :1]
        out[rows] = vertices * motion.scale
    return out


def spread_of(timestamps: np.ndarray, settings: SolveSettings) -> int:
    """Rows within which the smoother's answer to a change of one row has fallen to a quarter of a percent."""
    fall = np.sqrt(2) * _penalty(settings.smooth, _step(timestamps)) ** 0.25  # ... by e within so many rows
    return int(np.ceil(6.0 * fall)) + 1


def window_of(row: int, timestamps: np.ndarray, settings: SolveSettings, glimpse: bool = False) -> tuple[int, int]:
    """The rows (first, last) that can change when a keypoint of `row` does: as far as the lifter and the smoother
    reach. glimpse: so many that `row` itself comes out nearly as in the whole take.
    """
    spread = spread_of(timestamps, settings)
    far = int(np.ceil(0.6 * spread)) + 1 if glimpse else reach(timestamps) + 2 * spread
    return max(0, row - far), min(len(timestamps) - 1, row + far)


def solve_rows(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, first: int,
               last: int, shape: np.ndarray, known: Known, settings: SolveSettings = SolveSettings(),
               detector: str = "movenet", by_hand: np.ndarray | None = None, scale: float = 1.0,
               alone: bool = False) -> Motion:
    """`solve_motion` for the rows first..last of a take that was solved before; row 0 is `first`, feet are free.

    keypoints, timestamps, by_hand: of the whole take, as for `solve_motion`; shape: (K,) or (T, K), which stays, like
    scale. known: the take as it was solved. Only what its changed keypoints reach is lifted and pulled again, so that
    rows first..last come out as the whole take would give them. alone: from these rows only, which is quicker and less
    exact at their ends.
    """
    by_hand = np.zeros(keypoints.shape[:2], bool) if by_hand is None else by_hand
    keypoints = within_reach(keypoints, by_hand)
    known = known._replace(keypoints=within_reach(known.keypoints, known.by_hand))
    spread, count, step = spread_of(timestamps, settings), len(timestamps), _step(timestamps)

    def seen(keypoints: np.ndarray, by_hand: np.ndarray, first: int, last: int) -> _Person:
        here = slice(first, last + 1)
        return _Person(keypoints[here], timestamps[here], intrinsics, network, settings, detector, by_hand[here], step)

    low, high = (first, last) if alone else (max(0, first - spread), min(count - 1, last + spread))
    here, person = slice(low, high + 1), seen(keypoints, by_hand, low, high)
    lifted, pulled, path = (np.array(stage) for stage in known.stages)
    body = shape if shape.ndim == 1 else shape[here]
    stale = ((bits(keypoints) != bits(known.keypoints)).any(2) | (by_hand != known.by_hand)).any(1)
    if alone:  # a corrected row moves its neighbours by millimetres: they are not worth the time
        for row in low + np.flatnonzero(stale[here]):
            lifted[row] = _lift_row(keypoints, timestamps, intrinsics, network, detector, row)
        redo = stale[here]
    else:
        redo = _lift_again(keypoints, timestamps, intrinsics, network, detector, stale, low, high, lifted)[here]
    pulled[here][redo] = np.nan
    person.pull(lifted[here], pulled[here], body, np.flatnonzero(redo & person.enough))
    joints, valid = person.smooth(pulled[here])
    if redo.any() and not alone:  # the others are where they were, and so is what the smoother makes of them
        before = seen(known.keypoints, known.by_hand, low, high).smooth(known.stages.pulled[here])[0]
        redo |= ~(np.linalg.norm(joints - before, axis=-1).max(1) < SAME)
    path[here][~person.enough] = np.nan
    person.place(joints, path[here], body, np.flatnonzero(redo & person.enough))
    # distances are smoothed over more rows than anything else, but that costs nothing
    far = spread_of(timestamps, settings) if alone else int(spread * CALM ** 0.25)
    start, stop = max(0, first - far), min(count - 1, last + far)
    translation = seen(keypoints, by_hand, start, stop).smooth_path(path[start:stop + 1])[first - start:][
        :last + 1 - first] * scale
    inside, rows = slice(first - low, last + 1 - low), slice(first, last + 1)
    return Motion(joints[inside].astype(np.float32), shape if shape.ndim == 1 else shape[rows], scale,
                  translation.astype(np.float32), valid[inside], Stages(lifted[rows], pulled[rows], path[rows]))


def _lift_row(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, detector: str,
              row: int) -> np.ndarray:
    """(71, 3) of one row, as the whole take gives it; of woven takes only its own is lifted."""
    far, ways = reach(timestamps), interleave(timestamps)
    start = max(0, row - far) // far * far + row % ways  # far is a multiple of ways
    mine = slice(start, row + 1 + far + ways, ways)
    if not _enough(confidence_of(keypoints[[row]]))[0]:
        return np.full((J.COUNT, 3), np.nan, np.float32)
    return _lift(keypoints[mine], timestamps[mine], intrinsics, network, detector).joints[(row - start) // ways]


def _lift_again(keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, network: Network, detector: str,
                stale: np.ndarray, low: int, high: int, lifted: np.ndarray) -> np.ndarray:
    """Lifts what the rows `stale` (T,) reach within low..high, into lifted (T, 71, 3).

    Returns (T,) bool: the rows that came out otherwise, and those that are stale themselves.
    """
    far, redo = reach(timestamps), stale.copy()
    changed = np.flatnonzero(stale)
    if not len(changed):
        return redo
    a, b = max(low, int(changed[0]) - far), min(high, int(changed[-1]) + far)
    if a > b:
        return redo
    start = max(0, a - far) // far * far  # where one of the lifter's windows begins
    around = slice(start, b + 1 + far + interleave(timestamps))
    found = _lift(keypoints[around], timestamps[around], intrinsics, network, detector).joints[a - start:b + 1 - start]
    enough = _enough(confidence_of(keypoints[a:b + 1]))
    found = np.where(enough[:, None, None], found, np.nan)
    same = np.linalg.norm(found - lifted[a:b + 1], axis=-1).max(1) < SAME
    same |= ~enough & np.isnan(lifted[a:b + 1]).all((1, 2))
    redo[a:b + 1] |= ~same
    lifted[a:b + 1][redo[a:b + 1]] = found[redo[a:b + 1]]
    return redo


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


def scale_for(height: float | None, body: Body | None, shape: np.ndarray) -> float:
    """Factor on body and path that gives a height in metres, None = as solved; shape: (K,) or (T, K)."""
    return height / height_at_rest(body, one_shape(shape)) if height else 1.0


def _penalty(smooth: float, step: float) -> float:
    return strength(smooth, 1 / max(step, 1e-3))


def _step(timestamps: np.ndarray) -> float:
    """Seconds from frame to frame, as a rule."""
    return float(np.median(np.diff(timestamps))) if len(timestamps) > 1 else 0.0
