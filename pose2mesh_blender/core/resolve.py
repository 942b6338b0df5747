"""Solving again only what a correction reaches: the heart of editing keypoints on the footage. No `bpy` module use.

A window round the changed rows is solved as it was and as it is now; where the two differ, the take gets the new
motion. Rows outside keep their bytes, and the shape of the body, the scale and the world stay as they are.
"""
from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .body import Body
from .edits import Edits
from .errors import Cancelled, TakeError
from .motion import Motion
from .network.engine import Network
from .settings import Settings
from .smoothing import is_free, smoothing_of
from .solve import SolveSettings, mesh_frames, scale_for, solve_motion, solve_rows, window_of
from .solve_take import body_of, detector_of, solve_key, solve_take, stages_of, store_stages
from .stages import Known, Stages, bits
from .standing import hold_rows
from .take import Take

MOVED = 1e-3  # metres: joints that move less leave their frame's mesh as it is
TURNED = 5e-3  # radians, the same for the turns that hold the feet
SHIFTED = 2e-4  # metres, the same for the place of the whole person
WRITING = "writing"  # begins what stands in the place of the take's key until all is stored
FADE = 8  # rows within which what holds the feet fades at the ends of a part
PIECE = 16  # rows meshed between two looks at `cancelled`
PIECE_LIVE = 4  # the same while somebody waits for one of them

Seen = tuple[np.ndarray, np.ndarray]  # keypoints (T, 23, 3), which of them were set by hand (T, 23)
Told = Callable[[int, np.ndarray], None]  # person, rows that are finished


@dataclass(frozen=True)
class _Base:
    """What the meshes of a take show: per person keypoints and which are set by hand, places, rows left; flags."""

    seen: dict[int, Seen]
    places: dict[int, np.ndarray]  # (T, 3)
    left: dict[int, np.ndarray]
    solved: np.ndarray  # (T,) bool


@dataclass
class Memory:
    """What the last calls solved and left, so that the next one, while a marker is dragged, need not start anew."""

    _kept: dict[tuple, Motion] = field(default_factory=dict)
    left: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)  # take -> person -> rows without their mesh
    bases: dict[str, _Base] = field(default_factory=dict)  # take -> what its meshes show but for glimpses

    def solve(self, key: tuple, make: Callable[[], Motion]) -> Motion:
        motion = self._kept.pop(key, None) or make()
        self._kept[key] = motion  # the last one used stands last
        while len(self._kept) > 16:
            self._kept.pop(next(iter(self._kept)))
        return motion


def solved_with(take: Take, device: str = "auto") -> Settings:
    """The settings by which the take was solved."""
    solve = take.info["solve"]
    return Settings(smooth=solve.get("smooth", 0.5), feet=solve.get("feet", True), height=solve.get("height"),
                    body=solve.get("body"), free_shape=solve.get("free_shape", False), device=device)


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
    name, key = str(take.folder), str(take.info["solve"].get("key", ""))
    base = memory.bases.pop(name, None)
    if key.startswith(WRITING) and base is None:  # a call was killed
        resolve_all(take, edits, network, device=device, progress=progress, cancelled=cancelled)
        for person in take.people:
            finished(person, np.flatnonzero(take.solved))
        return
    if not (base or take).solved.any() or not all(take.has_mesh(p) for p in take.people):
        raise TakeError(f"{take.folder} is not solved yet.", "Animate it first.")
    now = {person: (take.keypoints(person), take.edits(person).mask(len(take))) for person in take.people}
    if base is None or not key.startswith(WRITING) or base.seen.keys() != now.keys():
        base = _Base(now, {p: take.translation(p) for p in take.people}, _left(take, memory), take.solved)
    context = _Context(take, network, settings, body, memory)
    after = dict(now)
    take.info["solve"]["key"] = f"{WRITING} {uuid.uuid4().hex}"
    take.save()
    for person, found in edits.items():
        keypoints = found.applied(take.edits(person).detected(now[person][0]))
        after[person] = keypoints, found.mask(len(take))
        changed = np.flatnonzero((bits(now[person][0]) != bits(keypoints)).any((1, 2)))
        take.set_edits(person, found)
        take.set_keypoints(person, keypoints[changed], changed, stale=changed[take.solved[changed]])
    glimpsed = set()
    for person in edits:
        if focus is None or not base.solved[focus]:
            break
        shown = context.glimpse(person, base.seen[person], after[person], focus, base.places[person])
        if shown is not None:
            take.write_mesh(person, *shown)
            finished(person, np.array([focus]))
            glimpsed.add(person)
    # a glimpse makes room for what the whole take says, be it that nothing moves
    base = replace(base, left={p: np.union1d(rows, [focus]) if p in glimpsed else rows
                               for p, rows in base.left.items()})
    if cancelled():
        memory.bases[name] = base
        raise Cancelled
    todo: dict[int, np.ndarray] = {}
    motions: dict[int, list[tuple[int, Motion]]] = {}
    for person in take.people:
        seen = base.seen[person], after[person]
        todo[person], motions[person], (rows, places) = context.difference(person, *seen, base)
        take.write_translation(person, rows, places)
        take.clear_solved(todo[person])
        finished(person, np.setdiff1d(rows, todo[person]))
    take.info["solve"]["key"] = solve_key(take, settings, network, body)
    take.save()
    waiting = np.concatenate([*todo.values(), []])  # other rows only lost their flag: the glimpse, or no motion
    take.mark_solved(np.setdiff1d(np.flatnonzero(base.solved & ~take.solved), waiting))
    memory.left[name] = todo
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
    network: Network
    settings: Settings
    body: Body
    memory: Memory
    stages: dict[int, Stages] = field(default_factory=dict)  # person -> of the whole take, as the call found it

    def glimpse(self, person: int, before: Seen, after: Seen, focus: int, places: np.ndarray):
        """What `Take.write_mesh` wants for the row `focus`, solved from few neighbours; None when it stays as it is.

        places: (T, 3) before.
        """
        first, last = window_of(focus, self.take.timestamps, self._solve_settings(person), glimpse=True)
        new, at = self._motion(person, after, before, first, last, glimpse=True), focus - first
        old = self._motion(person, before, before, first, last, glimpse=True)
        if not (new.valid[at] and old.valid[at]) or _longest(new.joints - old.joints)[at] < MOVED:
            return None
        start, stop = max(0, at - FADE), min(len(new.valid), at + 1 + FADE)
        new, old = (self._held(person, motion.part(start, stop), seen, first + start)
                    for motion, seen in ((new, after), (old, before)))
        at -= start
        place = places[[focus]] + (new.translation - old.translation)[[at]]
        vertices = mesh_frames(new, self.network, np.array([at]), self.body)
        return np.array([focus]), vertices, place, self.body.regress("smpl24", vertices)

    def difference(self, person: int, before: Seen, after: Seen, base: _Base):
        """Rows to mesh (N,); the motion of each window with its first row; rows (M,) and places (M, 3) that move."""
        at, left = base.places[person], base.left[person].astype(np.int64)
        differ = (bits(before[0]) != bits(after[0])).any(2) | (before[1] != after[1])
        changed = np.flatnonzero(differ.any(1))
        mesh, had_one = np.zeros(len(self.take), bool), base.solved.copy()
        had_one[left] = True
        place = at.copy()
        motions, fresh_stages = [], []
        mesh[left] = True
        for first, last in self._windows(np.union1d(changed, left), person):
            new, old = (self._motion(person, seen, before, first, last) for seen in (after, before))
            fresh_stages.append((first, new.stages))
            reached = np.flatnonzero(_reached(new, old) | np.isin(np.arange(first, last + 1), left))
            if not len(reached):
                continue
            # the feet, and all that follows, only where something happens; their turns need a stretch to fade in
            start, stop = max(0, int(reached[0]) - FADE), min(len(new.valid), int(reached[-1]) + 1 + FADE)
            first, last = first + start, first + stop - 1
            new, old = (self._held(person, motion.part(start, stop), seen, first)
                        for motion, seen in ((new, after), (old, before)))
            rows = np.arange(first, last + 1)
            motions.append((first, new))
            came, gone = new.valid & ~old.valid, old.valid & ~new.valid
            joints = _longest(new.joints - old.joints) > MOVED
            shift = np.linalg.norm(new.translation - old.translation, axis=1)
            both = new.valid & old.valid
            mesh[rows] |= came | gone | both & (joints | _legs_differ(new, old))
            here = rows[both & (shift > SHIFTED)]
            place[here] += (new.translation - old.translation)[here - first]
            fresh = rows[came | new.valid & ~np.isfinite(place[rows]).all(1)]
            place[fresh] = new.translation[fresh - first]
            mesh[fresh] = True
            place[rows[gone]] = np.nan
        for first, stages in fresh_stages:
            self.take.write_stages(person, stages, first)
        stored = self.take.translation(person)  # a glimpse may have moved it
        differs = np.flatnonzero((bits(place) != bits(stored)).any(1) & had_one)
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

    def _windows(self, rows: np.ndarray, person: int) -> list[tuple[int, int]]:
        """(first, last) of the stretches to solve, none overlapping another."""
        out: list[tuple[int, int]] = []
        for row in rows:
            first, last = window_of(int(row), self.take.timestamps, self._solve_settings(person))
            if out and first <= out[-1][1] + 1:
                first = out.pop()[0]
            out.append((first, last))
        return out

    def _motion(self, person: int, seen: Seen, before: Seen, first: int, last: int, glimpse: bool = False) -> Motion:
        """The rows first..last with the keypoints `seen`, where the take was solved with those of `before`."""
        take, settings, (keypoints, by_hand) = self.take, self._solve_settings(person), seen
        known = Known(*before, self._stages(person, before))
        shape = take.shapes(person)
        scale = scale_for(settings.height, self.body, shape)
        key = (str(take.folder), person, first, last, glimpse, settings, id(self.network), id(self.body),
               _digest(keypoints, by_hand, *before, known.stages.pulled, shape, take.intrinsics, take.timestamps))
        return self.memory.solve(key, lambda: solve_rows(
            keypoints, take.timestamps, take.intrinsics, self.network, first, last, shape, known, settings,
            detector_of(take), by_hand, scale, alone=glimpse))

    def _stages(self, person: int, before: Seen) -> Stages:
        """As the take has them; takes of an older version, or of another network, get them now."""
        take, (keypoints, by_hand) = self.take, before
        stages = self.stages.get(person) or stages_of(take, person, self.network)
        if stages is None:
            stages = solve_motion(keypoints, take.timestamps, take.intrinsics, self.network,
                                  replace(self._solve_settings(person), feet=False), detector_of(take), body=self.body,
                                  shape=take.shapes(person), by_hand=by_hand).stages
            store_stages(take, person, stages, self.network)
            take.save()
        self.stages[person] = stages
        return stages

    def _held(self, person: int, motion: Motion, seen: Seen, first: int) -> Motion:
        """motion, whose row 0 is `first`, with its feet where the take holds them."""
        take, footing = self.take, self.take.footing(person)
        if footing is None:
            return motion
        last = first + len(motion.valid) - 1
        key = (str(take.folder), person, first, last, id(self.network),
               _digest(motion.joints, motion.translation, motion.shape, seen[0][first:last + 1],
                       seen[1][first:last + 1], footing.shift, footing.moves, take.intrinsics, take.timestamps))
        return self.memory.solve(key, lambda: hold_rows(
            motion, first, last, seen[0], take.timestamps, take.intrinsics, self.network, footing, seen[1]))

    def _solve_settings(self, person: int) -> SolveSettings:
        return SolveSettings(smooth=smoothing_of(self.take.info, person), height=self.settings.height,
                             free_shape=is_free(self.take.info, person))


def _reached(new: Motion, old: Motion) -> np.ndarray:
    """(N,) bool: rows that come out otherwise, be it by little."""
    moved = (_longest(new.joints - old.joints) > MOVED / 4) | (new.valid != old.valid)
    return moved | ~(np.linalg.norm(new.translation - old.translation, axis=1) <= SHIFTED / 4) & new.valid


def _digest(*arrays: np.ndarray) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for values in arrays:
        found.update(np.ascontiguousarray(values).tobytes())
    return found.digest()


def _legs_differ(new: Motion, old: Motion) -> np.ndarray:
    """(N,) bool: rows whose feet are held where they stand by other turns of the legs."""
    if new.legs is None or old.legs is None:
        return np.zeros(len(new.valid), bool)
    return np.abs(new.legs - old.legs).max((1, 2, 3, 4)) > TURNED


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
