"""Who is who from frame to frame. No `bpy` module use.

People of a frame are assigned to known people by where these should be now (constant velocity), how alike the poses are
and what they wear; somebody who was lost is remembered and found again. The tracker also repairs the moments in which a
detector exchanges a person's whole left and right.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .detection.appearance import likeness
from .detection.estimator import PersonKeypoints
from .detection.similarity import MIRROR, extent, keypoint_similarity
from .skeletons import BODY23_FLIP

MEMORY = 10.0  # seconds after which a lost person is forgotten
LEAST = 0.1  # affinity below which two are never the same
SIDE_MEMORY = 0.4  # seconds of detector votes that decide which side is left
_LIMBS = np.arange(5, 17)


@dataclass
class Track:
    """What is remembered of one person. Keypoints as in PersonKeypoints, velocity in pixels per second (2,)."""

    person: int
    keypoints: np.ndarray
    velocity: np.ndarray
    timestamp: float
    appearance: np.ndarray | None
    score: float  # usual one of this person
    seconds: float = 0.0  # between the first and the last time seen
    side_votes: float = 0.0  # seconds of agreement with the detector's left and right; below 0 the track is flipped

    def predicted(self, timestamp: float) -> np.ndarray:
        """Keypoints moved on to `timestamp`; the motion is believed for a quarter of a second."""
        moved = self.keypoints.copy()
        moved[:, :2] += self.velocity * min(timestamp - self.timestamp, 0.25)
        return moved


class Tracker:
    """Gives people stable numbers 0, 1, 2 ...

    `update` is called once a frame, in order. `to_state` / `from_state` carry it over to another process.
    """

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next = 0

    def update(self, index: int, timestamp: float,
               people: list[PersonKeypoints]) -> list[tuple[int, PersonKeypoints]]:
        """index: of the frame; timestamp: seconds; people: of this frame -> (person, keypoints), in their order.

        The keypoints are those given, with left and right exchanged where the detector had them wrong.
        """
        self._tracks = [track for track in self._tracks if timestamp - track.timestamp <= MEMORY]
        affinity = np.array([[self._affinity(track, person, timestamp) for person in people]
                             for track in self._tracks]).reshape(len(self._tracks), len(people))
        owner: dict[int, Track] = {}
        for row, column in assign(affinity):
            if affinity[row, column] >= LEAST:
                owner[column] = self._tracks[row]
        found = []
        for column, person in enumerate(people):
            track = owner.get(column)
            if track is None:
                track = Track(self._next, np.array(person.keypoints, np.float64), np.zeros(2), timestamp,
                              person.appearance, person.score)
                self._next += 1
                self._tracks.append(track)
            else:
                person = self._followed(track, person, timestamp)
            found.append((track.person, person))
        return found

    def _affinity(self, track: Track, person: PersonKeypoints, timestamp: float) -> float:
        """0..1: how surely `person` is the one of `track`; 0 where it cannot be."""
        gap = max(timestamp - track.timestamp, 0.0)
        size = max(extent(track.keypoints), extent(person.keypoints))
        ratio = size / max(min(extent(track.keypoints), extent(person.keypoints)), 1.0)
        # moved on, or still where it was: one wild detection makes a wild velocity
        places = (track.predicted(timestamp), track.keypoints)
        distance = min(float(np.hypot(*(_middle(place) - _middle(person.keypoints)))) for place in places) / size
        if distance > 0.35 + 1.5 * gap or ratio > 1.8 + 2 * gap:
            return 0.0
        clothes = likeness(track.appearance, person.appearance)
        slack = 1.5 + 6.0 * min(gap, 0.5)
        pose = max(keypoint_similarity(place, person.keypoints, slack) for place in places)
        near = max(0.0, 1.0 - distance / (0.35 + 1.5 * gap))
        if gap > 1.0:  # position says little by now
            return 0.0 if clothes is None or clothes < 0.7 else 0.3 * near + 0.5 * clothes
        wear = 0.6 if clothes is None else clothes
        return 0.45 * pose + 0.2 * near + 0.35 * wear if max(pose, near) > 0.2 else 0.0

    def _followed(self, track: Track, person: PersonKeypoints, timestamp: float) -> PersonKeypoints:
        gap = timestamp - track.timestamp
        if person.score < 0.65 * track.score and gap < 0.5:  # hardly seen: says too little to follow it
            return person
        track.score += 0.1 * (person.score - track.score)
        keypoints = np.array(person.keypoints, np.float64)
        if 0 < gap <= 0.5:
            flipped = self._side(track, keypoints, timestamp, gap)
            if flipped:
                keypoints = keypoints[BODY23_FLIP]
            move = (_middle(keypoints) - _middle(track.keypoints)) / gap
            trust = 0.4 if track.seconds > 0 else 1.0
            track.velocity = (1 - trust) * track.velocity + trust * move
        else:
            flipped = False
            track.velocity, track.side_votes = np.zeros(2), 0.0
        track.keypoints = keypoints
        track.seconds += max(gap, 0.0)
        track.timestamp = timestamp
        if person.appearance is not None:
            old = track.appearance
            track.appearance = person.appearance if old is None else 0.9 * old + 0.1 * person.appearance
        return replace(person, keypoints=keypoints.astype(np.float32)) if flipped else person

    def _side(self, track: Track, keypoints: np.ndarray, timestamp: float, gap: float) -> bool:
        """Whether left and right of the detector's answer are to be exchanged so that the limbs move on.

        Each frame the detector votes for or against the sides that the track has. A short exchange is outvoted; a
        lasting one wins, so a wrong start cannot lock the track in. Seen from the side, left and right lie on one
        another and nothing can be told: there the detector is believed.
        """
        expected, keypoints = np.nan_to_num(track.predicted(timestamp)), np.nan_to_num(keypoints)
        weight = np.minimum(expected[_LIMBS, 2], keypoints[_LIMBS, 2])
        weight = np.where(weight > 0.15, weight, 0.0)
        paired = np.minimum(weight, weight[MIRROR[_LIMBS] - 5])  # both sides must be seen
        if (paired > 0).sum() < 6:
            return False
        size = extent(keypoints)
        before, now = _breadth(expected), _breadth(keypoints)
        if min(np.hypot(*before), np.hypot(*now)) < 0.07 * size:
            return False
        straight = np.hypot(*(expected[_LIMBS, :2] - keypoints[_LIMBS, :2]).T) @ paired / paired.sum() / size
        crossed = np.hypot(*(expected[_LIMBS, :2] - keypoints[MIRROR[_LIMBS], :2]).T) @ paired / paired.sum() / size
        clear = min(1.0, abs(straight - crossed) / 0.05)
        agrees = bool(before @ now > 0 or straight <= crossed)
        vote = clear * gap if agrees else -clear * gap
        if not agrees and (crossed > 0.6 * straight or straight - crossed < 0.03):
            vote, agrees = 0.0, True  # not clear enough to call it an exchange
        track.side_votes = min(track.side_votes + vote, SIDE_MEMORY)
        if track.side_votes < -0.02:
            # the detector has insisted for longer than it agreed: it is right and the track was not
            track.side_votes = 0.0
            return False
        return not agrees

    def to_state(self) -> dict:
        """JSON-able."""
        return {"next": self._next, "tracks": [
            {"person": t.person, "keypoints": _listed(t.keypoints), "velocity": t.velocity.tolist(),
             "timestamp": t.timestamp, "appearance": None if t.appearance is None else t.appearance.tolist(),
             "score": t.score, "seconds": t.seconds, "side_votes": t.side_votes} for t in self._tracks]}

    @classmethod
    def from_state(cls, state: dict) -> Tracker:
        tracker = cls()
        tracker._next = int(state["next"])
        for item in state["tracks"]:
            seen = item["appearance"]
            tracker._tracks.append(Track(
                int(item["person"]), np.array(item["keypoints"], np.float64), np.array(item["velocity"], np.float64),
                float(item["timestamp"]), None if seen is None else np.array(seen, np.float32),
                float(item["score"]), float(item["seconds"]), float(item["side_votes"])))
        return tracker


def _listed(keypoints: np.ndarray) -> list:
    """NaN is not JSON: absent coordinates become null (which numpy reads back as NaN)."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in keypoints]


def _breadth(keypoints: np.ndarray) -> np.ndarray:
    """From the right to the left side of the trunk, pixels (2,)."""
    return (keypoints[5, :2] - keypoints[6, :2] + keypoints[11, :2] - keypoints[12, :2]) / 2


def _middle(keypoints: np.ndarray) -> np.ndarray:
    """Middle of the trunk where it is seen, else of everything that is seen (2,)."""
    trunk = keypoints[[5, 6, 11, 12]]
    seen = trunk if trunk[:, 2].min() > 0.1 else keypoints[:17][keypoints[:17, 2] > 0.1]
    return seen[:, :2].mean(0) if len(seen) else np.nan_to_num(keypoints[:17, :2]).mean(0)


def assign(affinity: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column) of the assignment with the largest sum; the Hungarian method with potentials."""
    rows, columns = affinity.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return [(row, column) for column, row in assign(affinity.T)]
    cost = -affinity
    row_potential, column_potential = np.zeros(rows + 1), np.zeros(columns + 1)
    match = np.zeros(columns + 1, int)  # 1-based row of each column, 0 = free
    for row in range(1, rows + 1):
        match[0] = row
        column, least, used = 0, np.full(columns + 1, np.inf), np.zeros(columns + 1, bool)
        way = np.zeros(columns + 1, int)
        while match[column]:
            used[column] = True
            reduced = cost[match[column] - 1] - row_potential[match[column]] - column_potential[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better], way[1:][better] = reduced[better], column
            free = np.where(used, np.inf, least)
            free[0] = np.inf
            following = int(free.argmin())
            step = free[following]
            row_potential[match[used]] += step
            column_potential[used] -= step
            least[~used] -= step
            column = following
        while column:
            match[column], column = match[way[column]], way[column]
    return sorted((int(match[column]) - 1, column - 1) for column in range(1, columns + 1) if match[column])
