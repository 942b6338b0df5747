"""Feet that stand neither slide nor sink: when a foot bears the body, where the floor is, and what that corrects.

One view sees a standing foot's direction well and its distance badly, so most of a correction goes along the viewing
ray and leaves the picture as it is. Three steps, all on arrays and local in time: `find_runs` (which heel or toe stands
still, and when), `fit_floor` (one plane for the take), `correct_path` and `place_legs` (the root's path in closed form,
then two-bone inverse kinematics for what is left). No `bpy` module use.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .body import Body
from .camera import VISIBLE
from .network import joints as J
from .placement import Floor, unit
from .skeletons import BODY23
from .smoothing import strength, whittaker

SPOTS = ("left_heel", "left_toe", "right_heel", "right_toe")  # what can stand: columns 0..3 below
# A spot stands while every measure is below its limit, and goes on to stand until one is 1.6 times above.
STILL = 0.28  # m/s across the viewing ray, as the picture shows it
STILL_IN_DEPTH = 1.5  # m/s along the ray, as the lifter says: much less certain
BEARING = 0.08  # metres above the body's lowest point
SLOPE = 0.15  # further metres for each metre of distance from that point: the lifter's lean
FALLING = 5.0  # m/s^2: a body that accelerates downwards faster than this is in the air
RELEASE = 1.6
SHORTEST, LONGEST_HOLE = 0.10, 0.07  # seconds
SPREAD = 0.03  # metres across the ray that a standing spot may stray, by noise, from its place
BY_HAND = 0.015  # metres: a keypoint that was set by hand this far from the footprint wins over it
SAME_LEVEL = 0.12  # metres: two footprints this near in height stand on one floor
ACROSS, ALONG, OFF_FLOOR = 0.01, 0.12, 0.01  # metres: how far a footprint's place across, along the ray, in height errs
ROOT_ACROSS, ROOT_ALONG, LEG = 0.01, 0.10, 0.05  # metres: root path across and along the ray, foot relative to root
STRAIGHT = 1.0  # share of its length that a leg that stands may reach; beyond, the root comes nearer
FARTHEST = 0.02  # metres that the root comes nearer at a time
BLEND = 2.0  # Hz: how fast a correction comes and goes
DEEPEST = 0.12  # metres below the floor from which a foot is lifted; what is deeper stands on something lower

_HEELS = (J.NAMES.index("left_heel"), J.NAMES.index("right_heel"))
_BIG_TOES = (J.NAMES.index("left_big_toe"), J.NAMES.index("right_big_toe"))
_SMALL_TOES = (J.NAMES.index("left_small_toe"), J.NAMES.index("right_small_toe"))
_HIPS, _KNEES, _ANKLES = (tuple(J.NAMES.index(f"smpl_{side}_{part}") for side in ("left", "right"))
                          for part in ("hip", "knee", "ankle"))


def _rows(side: str, *parts: str) -> list[int]:
    return [i for i, n in enumerate(J.NAMES) if side in n and n.endswith(parts)]


_THIGH = tuple(_rows(side, "_knee") for side in ("left", "right"))  # points that turn with the thigh, and so on
_SHIN = tuple(_rows(side, "_ankle") for side in ("left", "right"))
_FOOT = tuple(_rows(side, "_foot", "_toe", "_heel") for side in ("left", "right"))
_KEYPOINTS = tuple(tuple(BODY23.index(n) for n in names) for names in (
    ("left_heel", "left_ankle"), ("left_big_toe", "left_small_toe", "left_ankle"),
    ("right_heel", "right_ankle"), ("right_big_toe", "right_small_toe", "right_ankle")))


@dataclass(frozen=True)
class Track:
    """One person over an unbroken stretch of frames, camera axes, metres."""

    points: np.ndarray  # (T, 71, 3) of the mesh, root-relative
    path: np.ndarray  # (T, 3) root
    rays: np.ndarray  # (T, 23, 2) keypoints as x/z, y/z
    confidence: np.ndarray  # (T, 23), 0 = absent
    by_hand: np.ndarray  # (T, 23) bool, keypoints that a person has set
    times: np.ndarray  # (T,) seconds

    @property
    def fps(self) -> float:
        return 1 / max(float(np.median(np.diff(self.times))), 1e-3) if len(self.times) > 1 else 30.0

    @property
    def spots(self) -> np.ndarray:
        """(T, 4, 3) heels and toes in camera space, in the order of SPOTS."""
        return spots_of(self.points) + self.path[:, None]


@dataclass(frozen=True)
class Run:
    """A heel or toe that stands still in the rows first..last."""

    spot: int  # of SPOTS
    first: int
    last: int
    place: np.ndarray  # (3,) where, camera space
    seconds: float

    @property
    def rows(self) -> slice:
        return slice(self.first, self.last + 1)


@dataclass(frozen=True)
class Footing:
    """Where a person stands in a take: what a few rows need to be solved like the whole. Metres before scaling."""

    floor: Floor
    soles: np.ndarray  # (4,) metres from the spots down to the ground under a flat foot
    runs: tuple[Run, ...]
    shift: np.ndarray  # (T, 3) what corrects the root path
    moves: np.ndarray  # (T, 4, 3) what then corrects the spots, sinking apart
    level: np.ndarray  # (T, 2) how much the left and the right foot must not roll, 0..1
    scale: float = 1.0  # of the motion: what to multiply floor, places and shift with

    def part(self, first: int, last: int) -> Footing:
        """The same for the rows first..last, counted from `first`."""
        runs = tuple(replace(r, first=max(r.first, first) - first, last=min(r.last, last) - first)
                     for r in self.runs if r.first <= last and r.last >= first)
        rows = slice(first, last + 1)
        return replace(self, runs=runs, shift=self.shift[rows], moves=self.moves[rows], level=self.level[rows])

    @property
    def scaled_floor(self) -> Floor:
        return replace(self.floor, below=self.floor.below * self.scale)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as plain arrays, for a file."""
        spans = np.array([(r.spot, r.first, r.last) for r in self.runs], int).reshape(-1, 3)
        places = np.array([(*r.place, r.seconds) for r in self.runs], float).reshape(-1, 4)
        return {"up": self.floor.up, "numbers": np.array([self.floor.below, self.scale]), "soles": self.soles,
                "shift": self.shift, "moves": self.moves, "level": self.level, "spans": spans, "places": places}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Footing:
        """What `arrays` gave. Raises KeyError and ValueError for anything else."""
        below, scale = arrays["numbers"]
        runs = tuple(Run(int(spot), int(first), int(last), place[:3], float(place[3]))
                     for (spot, first, last), place in zip(arrays["spans"], arrays["places"]))
        return cls(Floor(arrays["up"], float(below)), arrays["soles"], runs, arrays["shift"], arrays["moves"],
                   arrays["level"], float(scale))


def spots_of(points: np.ndarray) -> np.ndarray:
    """(..., 71, 3) -> (..., 4, 3): left heel, left toe, right heel, right toe."""
    toes = (points[..., _BIG_TOES, :] + points[..., _SMALL_TOES, :]) / 2
    heels = points[..., _HEELS, :]
    return np.stack([heels[..., 0, :], toes[..., 0, :], heels[..., 1, :], toes[..., 1, :]], -2)


def straight_toes(points: np.ndarray, rotations: np.ndarray, body: Body, shape: np.ndarray) -> np.ndarray:
    """points (N, 71, 3) of `body` with `shape` (K,), global rotations (N, 24, 3, 3) -> float64, toes as at rest.

    No motion that the network has seen bends them: what it bends is noise of up to 20 degrees, which lifts or sinks a
    flat foot by a centimetre.
    """
    vertices, joints = body.rest(shape)
    rest = J.lift_points(vertices[None], joints[None], body)[0] + body.regress("h36m17", vertices)[0]
    points = points.astype(np.float64)
    for side, (ankle, ball) in enumerate(((7, 10), (8, 11))):
        for row in (_BIG_TOES[side], _SMALL_TOES[side]):
            points[:, row] += (rotations[:, ankle] - rotations[:, ball]) @ (rest[row] - joints[ball])
    return points


def soles(points: np.ndarray, vertices: np.ndarray, body: Body) -> np.ndarray:
    """(4,) metres from the spots down to the ground under flat feet, in the order of SPOTS.

    points (N, 71, 3) and vertices (N, 6890, 3) of a few frames, any axes; body: whose rest pose says which vertices are
    whose sole. The median over the frames counts: soles of a mesh are not exactly its skinned template's.
    """
    rest, joints = body.rest(np.zeros(len(body.shapedirs), np.float32))
    flat = J.lift_points(rest[None], joints[None], body)
    spots, out = spots_of(points), np.zeros(4)
    for side, (ankle, ball) in enumerate(((7, 10), (8, 11))):
        sole = (body.weights[:, ankle] + body.weights[:, ball] > 0.9) & (rest[:, 1] < rest[:, 1].min() + 0.02)
        ends = np.quantile(rest[sole, 2], (1 / 3, 2 / 3))
        down = -_foot_axes(points, side) @ _foot_axes(flat, side)[0].T @ [0.0, 1.0, 0.0]
        for end, part in enumerate((rest[:, 2] < ends[0], rest[:, 2] > ends[1])):
            below = vertices[:, sole & part] - spots[:, None, 2 * side + end]
            out[2 * side + end] = np.median(np.einsum("nvk,nk->nv", below, down).max(1))
    return out


def _foot_axes(points: np.ndarray, side: int) -> np.ndarray:
    """(N, 3, 3) columns: from heel to toes, across the toes, and what is square to both."""
    along = unit(spots_of(points)[:, 2 * side + 1] - spots_of(points)[:, 2 * side])
    across = unit(np.cross(along, points[:, _SMALL_TOES[side]] - points[:, _BIG_TOES[side]]))
    return np.stack([along, np.cross(across, along), across], -1)


# -- when -------------------------------------------------------------------------------------------------------------
def find_runs(track: Track, up: np.ndarray) -> list[Run]:
    """Heels and toes that bear the body, from speed in the picture, depth, height and fall.

    up: (3,) unit, against gravity in camera axes. Feet that hang, kick, fly or are led by a moving camera give none.
    """
    count = len(track.path)
    if count < 3:
        return []
    spots, dt = track.spots, np.gradient(track.times)[:, None]
    seen = _seen(track, spots)
    depth = np.maximum(spots[..., 2], 0.1)
    across = np.linalg.norm(np.gradient(seen, axis=0), axis=-1) / dt * depth
    along = np.abs(np.gradient(spots[..., 2], axis=0)) / dt
    body = track.points + track.path[:, None]
    heights = body @ up
    lowest = heights.argmin(1)
    under = body[np.arange(count), lowest][:, None]
    aside = spots - under
    lift = aside @ up
    aside = np.linalg.norm(aside - lift[..., None] * up, axis=-1)
    score = np.stack([across / STILL, along / STILL_IN_DEPTH, lift / (BEARING + SLOPE * aside),
                      np.broadcast_to(_fall(heights.mean(1), track.times)[:, None] / FALLING, lift.shape)]).max(0)
    runs = []
    for spot in range(4):
        for first, last in _stretches(score[:, spot], track.times):
            rows = slice(first, last + 1)
            stray = np.linalg.norm(seen[rows, spot] - np.median(seen[rows, spot], 0), axis=-1) * depth[rows, spot]
            if (stray > SPREAD).mean() < 0.3:  # else it creeps: a slide, or the camera moves
                runs.append(Run(spot, first, last, _median_place(spots[rows, spot][stray < SPREAD]),
                                float(track.times[last] - track.times[first])))
    return runs


def _seen(track: Track, spots: np.ndarray) -> np.ndarray:
    """(T, 4, 2) rays of the spots: the mesh's, moved by the smoothed distance to the keypoints where there are any."""
    own = spots[..., :2] / np.maximum(spots[..., 2:], 0.1)
    distance, weight = np.zeros_like(own), np.full(own.shape[:2], 1e-3)
    for spot, sources in enumerate(_KEYPOINTS):
        for source in reversed(sources[:-1]):
            known = track.confidence[:, source] > VISIBLE
            distance[known, spot] = track.rays[known, source] - own[known, spot]
            weight[known, spot] = track.confidence[known, source]
    return own + whittaker(distance, weight, strength(0.5, track.fps))


def _fall(heights: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(T,) downward acceleration, m/s^2, over a window of about a fifth of a second."""
    reach = max(1, round(0.1 / max(float(np.median(np.diff(times))), 1e-3)))
    at = np.clip(np.arange(len(times))[:, None] + np.array([-reach, 0, reach]), 0, len(times) - 1)
    step = (times[at[:, 2]] - times[at[:, 0]]) / 2
    fall = -(heights[at] @ [1.0, -2.0, 1.0]) / np.maximum(step, 1e-3) ** 2
    inside = (at[:, 1] - at[:, 0] == reach) & (at[:, 2] - at[:, 1] == reach)
    return np.where(inside, fall, 0.0)


def _stretches(score: np.ndarray, times: np.ndarray) -> list[tuple[int, int]]:
    """First and last rows that stand: hysteresis, then short holes are closed and short stretches dropped."""
    held = score <= RELEASE
    edges = np.flatnonzero(np.diff(np.r_[False, held, False].astype(np.int8)))
    found: list[list[int]] = []
    for start, end in zip(edges[::2], edges[1::2]):
        if not (score[start:end] <= 1).any():
            continue
        if found and times[start] - times[found[-1][1] - 1] <= LONGEST_HOLE + 1e-6 and start - found[-1][1] <= 3:
            found[-1][1] = end
        else:
            found.append([start, end])
    step = float(np.median(np.diff(times)))
    return [(a, b - 1) for a, b in found if times[b - 1] - times[a] + step >= SHORTEST and b - a >= 3]


def _median_place(places: np.ndarray) -> np.ndarray:
    depth = float(np.median(places[:, 2]))
    return np.append(np.median(places[:, :2] / places[:, 2:], 0) * depth, depth)


# -- where ------------------------------------------------------------------------------------------------------------
def footprints(runs: Sequence[Run], soles: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places on the ground under the runs (N, 3) and their weights (N,), for `fit_floor`. soles: (4,), see there."""
    places = np.array([r.place - soles[r.spot] * up for r in runs]).reshape(-1, 3)
    return places, np.array([min(r.seconds, 0.5) for r in runs])


def settle(track: Track, runs: Sequence[Run], floor: Floor, soles: np.ndarray) -> list[Run]:
    """The runs with their places on the floor or, where they are far above it, on levels of their own.

    soles: (4,) metres from the spots down to the ground under a flat foot, in the order of SPOTS.
    """
    spots, settled = track.spots, []
    levels = _levels(np.array([floor.height(run.place) - soles[run.spot] for run in runs]))
    for run, above in zip(runs, levels):
        ray = unit(run.place)
        information = (np.eye(3) - np.outer(ray, ray)) / ACROSS ** 2 + np.outer(ray, ray) / ALONG ** 2
        off = floor.height(run.place) - soles[run.spot] - above
        pull = floor.up / OFF_FLOOR ** 2
        shift = np.linalg.solve(information + np.outer(pull, floor.up), -pull * off)
        shift -= (off + shift @ floor.up) * floor.up  # exactly on it
        settled.append(replace(run, place=run.place + shift))
    return _keep_feet_long(settled, spots, floor.up)


def _levels(heights: np.ndarray) -> np.ndarray:
    """Heights (N,) of footprints above the floor -> of what they stand on: the floor, 0, or a step that some share."""
    out, left = np.zeros(len(heights)), np.abs(heights) >= SAME_LEVEL
    while left.any():
        near = left & (np.abs(heights[:, None] - heights) < SAME_LEVEL)
        best = near[np.argmax(np.where(left, near.sum(1), 0))]
        out[best] = np.median(heights[best])
        left &= ~best
    return out


def _keep_feet_long(runs: list[Run], spots: np.ndarray, up: np.ndarray) -> list[Run]:
    """Moves places of heel and toe of one foot, level with the floor, until they are a foot's length apart."""
    places = [run.place for run in runs]
    pairs = []
    for i, heel in enumerate(runs):
        for k, toe in enumerate(runs):
            first, last = max(heel.first, toe.first), min(heel.last, toe.last)
            if heel.spot % 2 == 0 and toe.spot == heel.spot + 1 and first <= last:
                both = spots[first:last + 1]
                length = np.median(np.linalg.norm(both[:, toe.spot] - both[:, heel.spot], axis=-1))
                pairs.append((i, k, length, toe.seconds / max(heel.seconds + toe.seconds, 1e-6)))
    for _ in range(4):
        for i, k, length, share in pairs:  # the one that stands longer stands firmer
            apart = places[k] - places[i]
            rise = apart @ up
            flat = apart - rise * up
            change = unit(flat) * (np.linalg.norm(flat) - np.sqrt(max(length ** 2 - rise ** 2, 1e-4)))
            places[i], places[k] = places[i] + share * change, places[k] - (1 - share) * change
    return [replace(run, place=place) for run, place in zip(runs, places)]


# -- what it corrects -------------------------------------------------------------------------------------------------
def path_shift(track: Track, runs: Sequence[Run]) -> np.ndarray:
    """What to add to the root path (T, 3) to bring the standing spots nearest to their places.

    Least squares per frame between the measured path (sure across the ray, unsure along it) and the places (as unsure
    as the leg's pose), and a penalty on the shift's second difference: three independent banded systems in the axes of
    the viewing ray.
    """
    ahead = unit(track.path)
    across = unit(np.cross(ahead, np.broadcast_to([0.0, 1.0, 0.0], ahead.shape)))
    axes = np.stack([across, np.cross(ahead, across), ahead], 1)
    prior = np.square(LEG / np.array([ROOT_ACROSS, ROOT_ACROSS, ROOT_ALONG]))
    total, weight = np.zeros_like(track.path), np.tile(prior, (len(track.path), 1))
    spots = track.spots
    for run in runs:
        total[run.rows] += np.einsum("nij,nj->ni", axes[run.rows], run.place - spots[run.rows, run.spot])
        weight[run.rows] += 1
    shift = whittaker((total / weight)[..., None], weight, strength(1.0, track.fps))[..., 0]
    return np.einsum("nij,ni->nj", axes, shift)


def reach_shift(track: Track, moves: np.ndarray, level: np.ndarray, up: np.ndarray) -> np.ndarray:
    """What to add to the root path (T, 3) so that legs can do as `blend` says as straight as they are.

    No leg has to be longer than it is. What would bend both is taken half by half: places err either way, but a leg can
    give in only one, and people who stand would end with bent knees.
    """
    out = np.zeros_like(track.path)
    for side in range(2):
        spot = slice(2 * side, 2 * side + 2)
        heel, toe = np.moveaxis(moves[:, spot], 1, 0)
        _, wanted, _ = _place_foot(track.points, side, heel, toe, level[:, side], up)
        hip, knee, ankle = (track.points[:, rows[side]] for rows in (_HIPS, _KNEES, _ANKLES))
        length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
        far = np.linalg.norm(wanted - hip, axis=-1) - STRAIGHT * length
        near = np.linalg.norm(ankle - hip, axis=-1) - np.linalg.norm(wanted - hip, axis=-1)
        out += (np.clip(far, 0, FARTHEST) - np.clip(near, 0, FARTHEST) / 2)[:, None] * unit(wanted - hip)
    return whittaker(out[:, None], np.ones((len(out), 1)), strength(0.9, track.fps))[:, 0]


def blend(track: Track, runs: Sequence[Run], ends: Footing | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What moves the spots to their places (T, 4, 3), and how much each foot must not roll (T, 2).

    Both come and go smoothly between the runs. `track.path` is corrected; ends: of the same rows, where these are a
    part of a take, to join what is on either side.
    """
    spots, count = track.spots, len(track.path)
    penalty = strength(1.0, track.fps) * (15 * 0.1 / BLEND) ** 4
    moves, standing = np.zeros((count, 4, 3)), np.zeros((count, 4), bool)
    for run in runs:
        rows = np.arange(run.first, run.last + 1)[~_moved_by_hand(track, run)]
        moves[rows, run.spot] = run.place - spots[rows, run.spot]
        standing[rows, run.spot] = True
    flat = (standing[:, ::2] & standing[:, 1::2]).astype(float)
    firm, sure = np.where(standing, 1e4 * penalty, 1.0), np.ones((count, 2))
    fixed = moves.copy()
    if ends is not None and count > 4:
        joined = np.array([0, 1, count - 2, count - 1])
        fixed[joined] = np.where(standing[joined, :, None], moves[joined], ends.moves[joined])
        firm[joined], sure[joined], flat[joined] = 1e4 * penalty, 1e4 * penalty, ends.level[joined]
    blended = whittaker(fixed, firm, penalty)
    level = whittaker(flat[..., None], sure, penalty / 4)[..., 0]
    return np.where(standing[..., None], moves, blended), np.clip(level, 0, 1)


def place_legs(track: Track, moves: np.ndarray, level: np.ndarray, floor: Floor, soles: np.ndarray) -> np.ndarray:
    """What turns thigh, shin and foot of both legs so that the spots move as `blend` says, and none sinks.

    Returns (T, 2, 3, 3, 3): rotations in camera axes, to be put before the global ones of hips, knees and ankles.
    """
    sunk = np.maximum(soles - floor.height(track.spots + moves), 0)
    sunk *= np.clip(2 - sunk / DEEPEST, 0, 1)
    moves = moves + sunk[..., None] * floor.up
    return np.stack([_place_leg(track.points, side, moves[:, 2 * side], moves[:, 2 * side + 1], level[:, side],
                                floor.up) for side in range(2)], 1)


def _moved_by_hand(track: Track, run: Run) -> np.ndarray:
    """(N,) bool rows of the run in which somebody has put the foot elsewhere."""
    sources = [s for s in _KEYPOINTS[run.spot] if track.by_hand[run.rows, s].any()]
    if not sources:
        return np.zeros(run.last - run.first + 1, bool)
    spot = track.spots[run.rows, run.spot]
    off = spot[:, :2] / spot[:, 2:] - run.place[:2] / run.place[2]
    return track.by_hand[run.rows][:, sources].any(1) & (np.linalg.norm(off, axis=-1) * spot[:, 2] > BY_HAND)


def _place_leg(points: np.ndarray, side: int, heel_shift: np.ndarray, toe_shift: np.ndarray, level: np.ndarray,
               up: np.ndarray) -> np.ndarray:
    """Moves one foot as a rigid whole and lets the leg follow: (T, 3, 3, 3). level: (T,) 1 = the foot must not roll."""
    foot, wanted, along = _place_foot(points, side, heel_shift, toe_shift, level, up)
    hip, knee, ankle = (points[:, rows[side]] for rows in (_HIPS, _KNEES, _ANKLES))
    reached, bent = bend(hip, knee, ankle, wanted, along)
    return np.stack([_turn(knee - hip, bent - hip), _turn(ankle - knee, reached - bent), foot], 1)


def _place_foot(points: np.ndarray, side: int, heel_shift: np.ndarray, toe_shift: np.ndarray, level: np.ndarray,
                up: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How the foot turns (T, 3, 3), where its ankle then has to be (T, 3), and where it points (T, 3)."""
    heel, small, big = (points[:, rows[side]] for rows in (_HEELS, _SMALL_TOES, _BIG_TOES))
    toe = (small + big) / 2
    along = toe + toe_shift - heel - heel_shift
    foot = _turn(toe - heel, along)
    along = unit(along)
    roll = np.einsum("nij,nj->ni", foot, small - big)
    roll -= (roll * along).sum(-1, keepdims=True) * along
    flat = roll - (roll @ up)[:, None] * up
    flat -= (flat * along).sum(-1, keepdims=True) * along
    foot = _turn(roll, roll + level[:, None] * (flat - roll)) @ foot
    middle, shift = (heel + toe) / 2, (heel_shift + toe_shift) / 2
    wanted = middle + shift + np.einsum("nij,nj->ni", foot, points[:, _ANKLES[side]] - middle)
    return foot, wanted, along


def legs_turned(points: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The points (T, 71, 3) after `turns` (T, 2, 3, 3, 3): those of knees, ankles and feet follow."""
    points = points.copy()
    for side in range(2):
        hip, knee, ankle = (points[:, None, rows[side]] for rows in (_HIPS, _KNEES, _ANKLES))
        bent = hip + _rotate(turns[:, side, 0], knee - hip)
        reached = bent + _rotate(turns[:, side, 1], ankle - knee)
        thigh, shin, foot = (_rotate(turns[:, side, i], points[:, rows[side]] - pivot)
                             for i, (rows, pivot) in enumerate(((_THIGH, knee), (_SHIN, ankle), (_FOOT, ankle))))
        points[:, _THIGH[side]], points[:, _SHIN[side]], points[:, _FOOT[side]] = (bent + thigh, reached + shin,
                                                                                   reached + foot)
    return points


def bend(hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, wanted: np.ndarray,
         forward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-bone inverse kinematics, all (N, 3): the ankle as near to `wanted` as the bones let it, and the knee.

    The knee keeps its side; where the leg is straight, it bends towards `forward`.
    """
    upper, lower = np.linalg.norm(knee - hip, axis=-1), np.linalg.norm(ankle - knee, axis=-1)
    turned = _rotate(_turn(ankle - hip, wanted - hip), (knee - hip)[:, None])[:, 0]
    reach = np.linalg.norm(wanted - hip, axis=-1)
    was = np.linalg.norm(ankle - hip, axis=-1)
    farthest = np.maximum(0.999 * (upper + lower), np.minimum(was, reach))
    length = np.clip(reach, np.abs(upper - lower) + 1e-3, farthest)
    ahead = unit(wanted - hip)
    side = turned - (turned * ahead).sum(-1, keepdims=True) * ahead
    side = side + 0.02 * (forward - (forward * ahead).sum(-1, keepdims=True) * ahead)
    along = (np.square(upper) - np.square(lower) + np.square(length)) / (2 * length)
    out = np.sqrt(np.maximum(np.square(upper) - np.square(along), 0))
    return hip + length[:, None] * ahead, hip + along[:, None] * ahead + out[:, None] * unit(side)


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) that take the directions a (N, 3) to b (N, 3) the short way."""
    a, b = unit(a), unit(b)
    axis, cos = np.cross(a, b), (a * b).sum(-1)
    x, y, z = axis.T
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    return np.eye(3) + k + k @ k / np.maximum(1 + cos, 1e-6)[:, None, None]


def _rotate(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(N, 3, 3), (N, K, 3) -> (N, K, 3)."""
    return vectors @ rotations.transpose(0, 2, 1)
