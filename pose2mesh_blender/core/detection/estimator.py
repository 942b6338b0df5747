"""People and their keypoints, frame after frame. No `bpy` module use.

MoveNet MultiPose looks for people in the whole image, now and then; each person is then followed from frame to frame
by the crop that the last keypoints give, with MoveNet Thunder ("accurate") or Lightning ("fast"). "accurate" asks
BlazePose too: it gives heels and big toes, and steadies the other keypoints where it agrees; "fast" has no feet.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .appearance import clothes
from .blazepose import BlazePose, feet, fused
from .hands import HandLandmarks
from .movenet import Candidate, MultiPose, SinglePose, keypoint_box
from .similarity import box_overlap, extent, keypoint_similarity

LOOK_EVERY = 10  # frames between two looks at the whole image while all is well
LOOK_AGAIN = 3  # frames between two looks when somebody was lost
LOOKS_FOR_LOST = 8  # such looks before somebody is given up
NEW_SCORE, KEEP_SCORE = 0.4, 0.33  # of a person's better keypoints
SAME = 0.6  # keypoint similarity from which two results are one person
SIZES = (256, 512, 768)  # of MultiPose; see `_look`


@dataclass
class PersonKeypoints:
    """One person in one frame.

    keypoints: (23, 3) float32 in body23's order: x, y in pixels, confidence 0..1 (absent: NaN, NaN, 0); score: mean
    confidence of the better keypoints; appearance: see `appearance.clothes`; hands: side -> (21, 3), when asked for.
    """
    keypoints: np.ndarray
    score: float
    appearance: np.ndarray | None = None
    hands: dict[str, np.ndarray] | None = None


class BodyNetwork(Protocol):
    """Answers for the person nearest the middle of a box."""

    def keypoints(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """image: (H, W, 3) RGB; box: x0, y0, x1, y1 in pixels -> COCO's 17 (or body23's 23), (J, 3)."""


@dataclass
class _Figure:
    """Somebody who is followed."""
    keypoints: np.ndarray
    box: np.ndarray
    score: float
    age: int = 0

    def followed(self, keypoints: np.ndarray) -> _Figure:
        """The same person one frame later; the next box moves on as fast as this one did."""
        box = keypoint_box(keypoints[:17], self.box)
        return _Figure(keypoints, box, body_score(keypoints), self.age + 1)

    def next_box(self, before: np.ndarray | None) -> np.ndarray:
        if before is None:
            return self.box
        move = (self.box[:2] + self.box[2:] - before[:2] - before[2:]) / 2
        side = float((self.box[2:] - self.box[:2]).max())
        return self.box + np.tile(np.clip(move, -0.25 * side, 0.25 * side), 2)


def body_score(keypoints: np.ndarray) -> float:
    """Mean of the nine best of COCO's 17 scores: somebody half hidden still counts, a patch of wall does not."""
    return float(np.sort(keypoints[:17, 2])[-9:].mean())


class PoseEstimator:
    """Finds everybody in consecutive frames.

    preset: "accurate" | "fast"; device: see `sessions.providers_for`; max_people: at most as many in a frame; body:
    another network for the keypoints (`TopDownOnnx`); hands: also look for hands; sure: mean confidence, 0..1, from
    which somebody counts as a person.
    """

    def __init__(self, preset: str = "accurate", device: str = "auto", max_people: int = 6,
                 body: BodyNetwork | None = None, hands: bool = False, sure: float = NEW_SCORE) -> None:
        if preset not in ("accurate", "fast"):
            raise ValueError(f"preset is {preset!r}, not accurate or fast")
        self.preset, self.max_people = preset, max_people
        self._sure, self._lost = sure, sure * KEEP_SCORE / NEW_SCORE
        self._multipose = MultiPose(device)
        self._body = body or SinglePose("thunder" if preset == "accurate" else "lightning", device)
        self._blazepose = BlazePose(device) if preset == "accurate" else None
        self._hands = HandLandmarks(device) if hands else None
        self.reset()

    def reset(self) -> None:
        """Forgets everybody: the next frame is looked at as the first one."""
        self._figures: list[_Figure] = []
        self._before: list[np.ndarray | None] = []
        self._since_look = LOOK_EVERY
        self._looks = self._looks_for_lost = 0

    def to_state(self) -> dict:
        """Everything that the next frame's answer depends on, for JSON; so a take can go on exactly."""
        def plain(box: np.ndarray | None) -> list | None:
            return None if box is None else np.asarray(box, np.float64).tolist()

        return {"figures": [{"keypoints": figure.keypoints.tolist(), "box": plain(figure.box), "score": figure.score,
                             "age": figure.age, "before": plain(before)}
                            for figure, before in zip(self._figures, self._before, strict=True)],
                "since_look": self._since_look, "looks": self._looks, "looks_for_lost": self._looks_for_lost}

    def from_state(self, state: dict) -> None:
        """Goes on from a `to_state`."""
        self.reset()
        for saved in state["figures"]:
            keypoints, box = np.asarray(saved["keypoints"], np.float32), np.asarray(saved["box"])
            self._figures.append(_Figure(keypoints, box, float(saved["score"]), int(saved["age"])))
            self._before.append(None if saved["before"] is None else np.asarray(saved["before"]))
        self._since_look, self._looks = int(state["since_look"]), int(state["looks"])
        self._looks_for_lost = int(state["looks_for_lost"])

    def estimate(self, image: np.ndarray) -> list[PersonKeypoints]:
        """image: (H, W, 3) uint8 RGB, the frame after the one of the last call -> everybody, most certain first."""
        figures: list[_Figure] = []
        before: list[np.ndarray | None] = []
        lost = False
        for figure, earlier in zip(self._figures, self._before, strict=True):
            now = figure.followed(self._body.keypoints(image, figure.next_box(earlier)))
            if now.score < self._lost or not _in_picture(now.box, image):
                lost |= _in_picture(now.box, image)
                continue
            figures.append(now)
            before.append(figure.box)
        figures, before, dropped = _without_doubles(figures, before)
        self._since_look += 1
        if lost or dropped:
            self._looks_for_lost = LOOKS_FOR_LOST
        searching = self._looks_for_lost > 0 or not figures
        if self._since_look >= (LOOK_AGAIN if searching else LOOK_EVERY):
            self._since_look = 0
            self._looks_for_lost = max(0, self._looks_for_lost - 1)
            for candidate in self._look(image, figures):
                somebody = self._new(image, candidate, figures)
                if somebody is not None:
                    figures.append(somebody)
                    before.append(None)
                    self._looks_for_lost = 0
            figures, before, _ = _without_doubles(figures, before)
        order = sorted(range(len(figures)), key=lambda i: -figures[i].score * extent(figures[i].keypoints))
        self._figures = [figures[i] for i in order[:self.max_people]]
        self._before = [before[i] for i in order[:self.max_people]]
        return [self._finished(image, figure) for figure in self._figures]

    def estimate_in(self, image: np.ndarray, box: np.ndarray) -> PersonKeypoints:
        """The person nearest the middle of a box (x0, y0, x1, y1 in pixels), whoever is followed; forgets nobody."""
        keypoints = self._body.keypoints(image, box)
        better = keypoint_box(keypoints[:17], box)
        if box_overlap(better, box) < 0.85:
            keypoints = self._body.keypoints(image, better)
            better = keypoint_box(keypoints[:17], better)
        return self._finished(image, _Figure(keypoints, better, body_score(keypoints)))

    def _look(self, image: np.ndarray, figures: list[_Figure]) -> list[Candidate]:
        """People in the whole image.

        A small size of the network finds large people and is quick; a large one finds small people and breaks large
        ones apart. So the size follows the people who are there, and now and then the next larger one is tried.
        """
        self._looks += 1
        longer = max(image.shape[:2])
        sizes = [extent(figure.keypoints) / longer for figure in figures]
        level = 0 if not sizes or max(sizes) > 0.35 else 1 if max(sizes) > 0.15 else 2
        found = self._multipose.detect(image, SIZES[level])
        sizes += [extent(candidate.keypoints) / longer for candidate in found]
        if level < 2 and (not sizes or max(sizes) < 0.35 or self._looks % 3 == 1 or self._looks_for_lost):
            level += 1
            found += self._multipose.detect(image, SIZES[level])
        if level < 2 and not found and not figures:
            found += self._multipose.detect(image, SIZES[2])
        return found

    def _new(self, image: np.ndarray, candidate: Candidate, figures: list[_Figure]) -> _Figure | None:
        """Somebody who was not followed yet, or None when the candidate is one of `figures` or nobody."""
        if any(keypoint_similarity(candidate.keypoints, figure.keypoints) > SAME - 0.2 for figure in figures):
            return None
        keypoints = self._body.keypoints(image, candidate.box)
        better = keypoint_box(keypoints[:17], candidate.box)
        if box_overlap(better, candidate.box) < 0.85:  # the coarse box cuts limbs off or is too wide
            keypoints = self._body.keypoints(image, better)
        figure = _Figure(keypoints, keypoint_box(keypoints[:17], better), body_score(keypoints))
        if figure.score < self._sure or not _in_picture(figure.box, image):
            return None
        if any(keypoint_similarity(keypoints, other.keypoints) > SAME for other in figures):
            return None
        return figure

    def _finished(self, image: np.ndarray, figure: _Figure) -> PersonKeypoints:
        keypoints = np.full((23, 3), np.nan, np.float32)
        keypoints[17:, 2] = 0.0
        if len(figure.keypoints) == 17 and self._blazepose is not None:
            landmarks = self._blazepose.landmarks(image, figure.keypoints)
            keypoints[17:] = feet(figure.keypoints, landmarks)
            if landmarks is not None:
                figure.keypoints = fused(figure.keypoints, landmarks)
                figure.box = keypoint_box(figure.keypoints, figure.box)
        keypoints[:len(figure.keypoints)] = figure.keypoints
        hands = None
        if self._hands is not None:
            found = {side: self._hands.hand(image, figure.keypoints, side) for side in ("left", "right")}
            hands = {side: points for side, points in found.items() if points is not None}
        return PersonKeypoints(keypoints, figure.score, clothes(image, figure.keypoints), hands)


def _in_picture(box: np.ndarray, image: np.ndarray) -> bool:
    """Whether at least a fifth of the box lies in the picture."""
    height, width = image.shape[:2]
    inner = np.minimum(box[2:], [width, height]) - np.maximum(box[:2], 0)
    return bool(inner.min() > 0 and inner.prod() > 0.2 * (box[2:] - box[:2]).prod())


def _without_doubles(figures: list[_Figure], before: list) -> tuple[list[_Figure], list, bool]:
    """Two crops may end on one person: the one who is followed for longer stays, unless the other is much clearer."""
    order = sorted(range(len(figures)), key=lambda i: -(figures[i].score + 0.02 * min(figures[i].age, 10)))
    kept: list[int] = []
    for i in order:
        if all(keypoint_similarity(figures[i].keypoints, figures[j].keypoints) < SAME for j in kept):
            kept.append(i)
    kept.sort()
    return [figures[i] for i in kept], [before[i] for i in kept], len(kept) < len(figures)
