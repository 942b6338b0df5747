"""Solving again only what a correction reaches: the heart of editing keypoints on the footage. No `bpy` module use.

A window round the changed rows is solved as it was and as it is now; where the two differ, the take gets the new
motion. Rows outside keep their bytes, and the shape of the body, the scale and the world stay as they are.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .body import Body
from .edits import Edits
from .errors import Cancelled, TakeError
from .pipeline import Settings, body_of, detector_of, solve_key, solve_take
from .solve import Motion, SolveSettings, mesh_frames, solve_rows, window_of
from .take import Take

MOVED = 1e-3  # metres: joints that move less leave their frame's mesh as it is
SHIFTED = 2e-4  # metres, the same for the place of the whole person
WRITING = "writing"  # in the place of the take's key, until all is stored
PIECE = 16  # rows meshed between two looks at `cancelled`
PIECE_LIVE = 4  # the same while somebody waits for one of them

Seen = tuple[np.ndarray, np.ndarray]  # keypoints (T, 23, 3), which of them were set by hand (T, 23)
Told = Callable[[int, np.ndarray], None]  # person, rows that are finished


@dataclass
class Memory:
    """What the last calls solved and left, so that the next one, while a marker is dragged, need not start anew."""

    _kept: dict[tuple, Motion] = field(default_factory=dict)
    left: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)  # take -> person -> rows without their mesh

    def solve(self, key: tuple, make: Callable[[], Motion]) -> Motion:
        if key not in self._kept:
            while len(self._kept) > 16:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = make()
        return self._kept[key]


def solved_with(take: Take, device: str = "auto") -> Settings:
    """The settings by which the take was solved."""
    solve = take.info["solve"]
    return Settings(smooth=solve.get("smooth", 0.5), height=solve.get("height"), body=solve.get("body"), device=device)


def resolve(take: Take, edits: dict[int, Edits], network, *, device: str = "auto", focus: int | None = None,
            finished: Told | None = None, progress: Callable[[str, int, int], None] | None = None,
            cancelled: Callable[[], bool] | None = None, memory: Memory | None = None,
            body: Body | None = None) -> None:
    """Stores corrections in a take, open for writing, and solves again what they reach.

    edits: of each person that changed, all corrections. focus: the row to mesh first. finished(person, rows) tells
    what is stored, rows that only moved among them. What an earlier call has left, because it was cancelled or killed,
    is done too. Raises Cancelled between two pieces and TakeError when the take was never solved.
    """
    cancelled, finished = cancelled or (lambda: False), finished or (lambda person, rows: None)
    memory = memory or Memory()
    settings = solved_with(take, device)
    body = body or body_of(settings)
    solved = take.solved
    if not solved.any() or not all(take.has_mesh(p) for p in take.people):
        raise TakeError(f"{take.folder} is not solved yet.", "Animate it first.")
    if take.info["solve"].get("key") == WRITING:  # a call was killed
        resolve_all(take, edits, network, device=device, progress=progress, cancelled=cancelled)
        for person in take.people:
            finished(person, np.flatnonzero(take.solved))
        return
    left = _left(take, memory)
    context = _Context(take, network, settings, body, memory)
    before = {person: take.keypoints(person) for person in take.people}
    after, hands = dict(before), {person: take.edits(person).mask(len(take)) for person in take.people}
    hands_after = {**hands, **{person: found.mask(len(take)) for person, found in edits.items()}}
    for person, found in edits.items():  # from the detection: a killed call may have stored less than its edits say
        after[person] = found.applied(take.edits(person).detected(before[person]))
    take.info["solve"]["key"] = WRITING
    take.save()
    for person, found in edits.items():
        changed = np.flatnonzero((_bits(before[person]) != _bits(after[person])).any((1, 2)))
        take.set_edits(person, found)
        take.set_keypoints(person, after[person][changed], changed, stale=changed[solved[changed]])
    todo: dict[int, np.ndarray] = {}
    motions: dict[int, list[tuple[int, Motion]]] = {}
    for person in take.people:
        seen = (before[person], hands[person]), (after[person], hands_after[person])
        shown = context.glimpse(person, *seen, focus) if focus is not None and solved[focus] else None
        at = take.translation(person)
        if shown is not None:
            take.write_mesh(person, *shown)
            finished(person, np.array([focus]))
        todo[person], motions[person], (rows, places) = context.difference(person, *seen, left[person], at, solved)
        if shown is not None:
            keep = rows != focus  # where the glimpse has put it
            rows, places, todo[person] = rows[keep], places[keep], np.setdiff1d(todo[person], focus)
        take.write_translation(person, rows, places)
        take.clear_solved(todo[person])
        finished(person, np.setdiff1d(rows, todo[person]))
    take.info["solve"]["key"] = solve_key(take, settings, network, body)
    take.save()
    others = [row for row in np.flatnonzero(solved & ~take.solved) if all(row not in rows for rows in todo.values())]
    take.mark_solved(np.array(others, np.int64))  # rows whose keypoints changed but not their motion, and the glimpse
    memory.left[str(take.folder)] = todo
    whole = sum(map(len, todo.values()))
    for person in list(todo):
        while len(todo[person]):
            if cancelled():
                raise Cancelled
            rows = todo[person]
            if focus is None:
                rows = rows[:PIECE]
            else:
                near = rows[np.argsort(np.abs(rows - focus), kind="stable")]
                rows = np.sort(near[:1 if near[0] == focus else PIECE_LIVE])
            context.mesh(person, rows, motions[person])
            todo[person] = np.setdiff1d(todo[person], rows)
            take.mark_solved(np.setdiff1d(rows, np.concatenate(list(todo.values()))))
            finished(person, rows)
            if progress:
                progress("mesh", whole - sum(map(len, todo.values())), whole)


def _left(take: Take, memory: Memory) -> dict[int, np.ndarray]:
    """person -> rows that have lost their mesh; rows that never had one are for `solve_take`."""
    lost = np.flatnonzero(take.detected & ~take.solved)
    known = memory.left.get(str(take.folder))
    if known is not None and np.isin(lost, np.concatenate([*known.values(), [-1]])).all():
        return {p: np.intersect1d(known.get(p, ()), lost).astype(np.int64) for p in take.people}
    return {p: lost[np.isfinite(take.translation(p)[lost]).all(1)] for p in take.people}


@dataclass
class _Context:
    take: Take
    network: object
    settings: Settings
    body: Body
    memory: Memory

    def glimpse(self, person: int, before: Seen, after: Seen, focus: int):
        """What `Take.write_mesh` wants for the row `focus`, solved from few neighbours; None when it stays as it is."""
        first, last = window_of(focus, self.take.timestamps, self._solve_settings, glimpse=True)
        new, at = self._motion(person, after, first, last), focus - first
        old = self._motion(person, before, first, last)
        if not (new.valid[at] and old.valid[at]) or _longest(new.joints - old.joints)[at] < MOVED:
            return None
        place = self.take.translation(person)[[focus]] + (new.translation - old.translation)[[at]]
        vertices = mesh_frames(new, self.network, np.array([at]), self.body)
        return np.array([focus]), vertices, place, self.body.regress("smpl24", vertices)

    def difference(self, person: int, before: Seen, after: Seen, left: np.ndarray, at: np.ndarray,
                   solved: np.ndarray):
        """Rows to mesh (N,); the motion of each window with its first row; rows (M,) and places (M, 3) that move.

        at: (T, 3) places and solved: (T,) flags before anything was written.
        """
        differ = (_bits(before[0]) != _bits(after[0])).any(2) | (before[1] != after[1])
        changed = np.flatnonzero(differ.any(1))
        mesh, had_one = np.zeros(len(self.take), bool), solved.copy()
        had_one[left] = True
        place = at.copy()
        motions = []
        mesh[left] = True
        for first, last in self._windows(np.union1d(changed, left)):
            rows = np.arange(first, last + 1)
            new = self._motion(person, after, first, last)
            old = self._motion(person, before, first, last)
            motions.append((first, new))
            came, gone = new.valid & ~old.valid, old.valid & ~new.valid
            joints = _longest(new.joints - old.joints) > MOVED
            shift = np.linalg.norm(new.translation - old.translation, axis=1)
            both = new.valid & old.valid
            mesh[rows] |= came | gone | both & joints
            here = rows[both & (shift > SHIFTED)]
            place[here] += (new.translation - old.translation)[here - first]
            fresh = rows[came | new.valid & ~np.isfinite(place[rows]).all(1)]
            place[fresh] = new.translation[fresh - first]
            mesh[fresh] = True
            place[rows[gone]] = np.nan
        differs = np.flatnonzero((_bits(place) != _bits(at)).any(1) & had_one)
        return np.flatnonzero(mesh & had_one), motions, (differs, place[differs])

    def mesh(self, person: int, rows: np.ndarray, motions: list[tuple[int, Motion]]) -> None:
        """Meshes of the rows (N,), into the take."""
        vertices = np.full((len(rows), 6890, 3), np.nan, np.float32)
        joints = np.full((len(rows), 24, 3), np.nan, np.float32)
        for first, motion in motions:
            inside = np.flatnonzero((rows >= first) & (rows < first + len(motion.valid)))
            inside = inside[motion.valid[rows[inside] - first]]
            if len(inside):
                vertices[inside] = mesh_frames(motion, self.network, rows[inside] - first, self.body)
                joints[inside] = self.body.regress("smpl24", vertices[inside])
        self.take.write_mesh(person, rows, vertices, self.take.translation(person)[rows], joints)

    def _windows(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """(first, last) of the stretches to solve, none overlapping another."""
        out: list[tuple[int, int]] = []
        for row in rows:
            first, last = window_of(int(row), self.take.timestamps, self._solve_settings)
            if out and first <= out[-1][1] + 1:
                first = out.pop()[0]
            out.append((first, last))
        return out

    def _motion(self, person: int, seen: Seen, first: int, last: int) -> Motion:
        take, settings, (keypoints, by_hand) = self.take, self._solve_settings, seen
        key = (str(take.folder), person, first, last, keypoints[first:last + 1].tobytes(),
               by_hand[first:last + 1].tobytes(), settings,
               take.intrinsics.tobytes(), take.timestamps.tobytes(), id(self.network), id(self.body))
        return self.memory.solve(key, lambda: solve_rows(
            keypoints, take.timestamps, take.intrinsics, self.network, first, last, take.shape(person), settings,
            detector_of(take), self.body, by_hand))

    @property
    def _solve_settings(self) -> SolveSettings:
        return SolveSettings(smooth=self.settings.smooth, device=self.settings.device, height=self.settings.height)


def _bits(values: np.ndarray) -> np.ndarray:
    """float32 as the numbers of their bits, so that NaN equals NaN."""
    return np.ascontiguousarray(values, np.float32).view(np.int32)


def _longest(steps: np.ndarray) -> np.ndarray:
    """(N, J, 3) -> (N,) longest of J, 0 where not known."""
    return np.nan_to_num(np.linalg.norm(steps, axis=-1)).max(1)


def resolve_all(take: Take, edits: dict[int, Edits], network, *, device: str = "auto",
                progress: Callable[[str, int, int], None] | None = None,
                cancelled: Callable[[], bool] | None = None) -> None:
    """Stores corrections and solves the whole take again, body shapes included; the world stays where it is.

    Arguments and errors as for `resolve`.
    """
    world, settings = take.info["world_from_camera"], solved_with(take, device)
    for person in take.people:
        detected, found = take.edits(person).detected(take.keypoints(person)), edits.get(person, take.edits(person))
        take.set_edits(person, found)
        take.set_keypoints(person, found.applied(detected))
    take.clear_solved()
    try:
        solve_take(take, network, settings, progress, cancelled)
    finally:
        take.info["world_from_camera"] = world  # the scene stands on it
        take.save()
