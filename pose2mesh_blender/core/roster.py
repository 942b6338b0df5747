"""Whom a take shows: rename, bench, merge, split. Nobody's data is ever lost, so all of it can be undone. No `bpy` use.

`people` of take.json are those who are solved and shown; `benched` are those who were: deleted, switched off, merged or
split into others. Their arrays stay in the take until people are chosen anew (core/people.py). New people are built
aside, and one write of take.json makes them appear: a killed process leaves the take as it was.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from .edits import Edits, absent_in
from .errors import Cancelled, TakeError
from .motion import Motion
from .people import prominence
from .resolve import solved_with
from .smoothing import is_free, smoothing_of
from .solve import SolveSettings, solve_motion
from .solve_take import body_of, detector_of, solve_key, store_meshes, store_motion
from .standing import stand
from .take import Take

PIECE = 16  # rows meshed between two looks at `cancelled`
FACTS = ("smooth", "feet", "height", "body", "free_shape", "network")  # by which a benched person may be out of date


def everybody(take: Take) -> dict[int, str]:
    """Person -> name of all who are in the take, benched ones last."""
    return {p["id"]: p["name"] for p in [*take.info["people"], *take.info.get("benched", [])]}


def rename(take: Take, person: int, name: str) -> None:
    """Raises TakeError for a person who is not in the take. The take is to be open for writing, as for all below."""
    entries = [p for p in [*take.info["people"], *take.info.get("benched", [])] if p["id"] == person]
    if not entries:
        raise TakeError(f"{take.folder} has no person {person}.", "Animate the footage again.")
    if entries[0]["name"] != name:
        entries[0]["name"] = name
        take.save()


def seat(take: Take, people: list[int]) -> None:
    """Exactly these people (ids, in order) are solved and shown from now on; all others are benched.

    Raises TakeError when one of them is unknown, has no mesh, or was solved with other settings than the take is now
    (`stale`), or when nobody would be left.
    """
    names = everybody(take)
    missing = [p for p in people if p not in names or not take.has_mesh(p)]
    if missing:
        raise TakeError(f"{take.folder} has no mesh of person {missing[0]} any more.", "Animate the footage again.")
    if not people:
        raise TakeError(f"{take.folder} needs at least one person.", "Delete the whole take instead.")
    for person in people:
        if stale(take, person):
            raise TakeError(f"{names[person]} was solved with other settings.", "Solve the person again.")
    if people == take.people:
        return
    now = {name: take.info["solve"].get(name) for name in FACTS}
    solved = {p["id"]: p.get("solve", now) for p in take.info.get("benched", [])}
    take.info["people"] = [{"id": p, "name": names[p]} for p in people]
    take.info["benched"] = [{"id": p, "name": n, "solve": solved.get(p, now)} for p, n in names.items()
                            if p not in people]
    _sign(take)


def stale(take: Take, person: int) -> bool:
    """Whether a benched person's mesh is of other settings than the take's now."""
    entry = next((p for p in take.info.get("benched", []) if p["id"] == person), None)
    return entry is not None and any(entry.get("solve", {}).get(n) != take.info["solve"].get(n) for n in FACTS)


def merge(take: Take, people: list[int], network, progress: Callable[[str, int, int], None] | None = None,
          cancelled: Callable[[], bool] | None = None) -> int:
    """Makes one person of several, who takes the first one's name and place; returns the id.

    Where two are in the same frame, the one who is seen better counts. Raises TakeError, Cancelled.
    """
    if len(set(people)) < 2 or not set(people) <= set(take.people):
        raise TakeError(f"{take.folder}: merging needs two people of the take.", "Select two people.")
    tracks = {p: take.keypoints(p) for p in people}
    scores = np.array([[prominence(k[None]) for k in tracks[p]] for p in people])  # (P, T)
    best = scores.argmax(0)
    masks = {p: (best == n) & (scores[n] > 0) for n, p in enumerate(people)}
    made = _combined(take, masks)
    _solve_aside(take, [made], people, network, progress, cancelled)
    names = everybody(take)
    order = [p for p in take.people if p not in people[1:]]
    _replace(take, [made if p == people[0] else p for p in order], {made: names[people[0]]})
    return made


def split(take: Take, person: int, row: int, network, progress: Callable[[str, int, int], None] | None = None,
          cancelled: Callable[[], bool] | None = None) -> tuple[int, int]:
    """Makes two people of one: rows before `row`, and the rest; returns their ids.

    Raises TakeError when one of them would never be seen, Cancelled.
    """
    if person not in take.people:
        raise TakeError(f"{take.folder} has no person {person}.", "Select a person of the take.")
    here = ~absent_in(take.keypoints(person)).all(1)
    first = np.arange(len(take)) < row
    if not (here & first).any() or not (here & ~first).any():
        raise TakeError(f"{take.name(person)} is not seen on both sides of this frame.",
                        "Go to a frame in the middle of the person's time.")
    before = _combined(take, {person: here & first})
    after = _combined(take, {person: here & ~first}, taken=before)
    _solve_aside(take, [before, after], [person], network, progress, cancelled)
    name, people = take.name(person), []
    for p in take.people:
        people += [before, after] if p == person else [p]
    _replace(take, people, {before: name, after: f"{name} B"})
    return before, after


def bring_back(take: Take, people: list[int], network, progress: Callable[[str, int, int], None] | None = None,
               cancelled: Callable[[], bool] | None = None) -> None:
    """`seat`, after solving those again who are out of date."""
    old = [p for p in people if stale(take, p)]
    if old:
        _solve_aside(take, old, None, network, progress, cancelled)
        now = {name: take.info["solve"].get(name) for name in FACTS}
        for entry in take.info["benched"]:
            if entry["id"] in old:
                entry["solve"] = now
    seat(take, people)


def person_motion(take: Take, person: int, network, smooth: float, body, like: list[int] | None = None,
                  free: bool | None = None) -> Motion:
    """One person solved over the whole take, at the size that the take has given to this one, or to others `like`.

    free: whether the shape may change over the take; None = as it is. A person's shape that is of that kind stays.
    """
    free = is_free(take.info, person) if free is None else free
    settings = solved_with(take)
    keypoints, by_hand = take.keypoints(person), take.edits(person).mask(len(take))
    known = take.shapes(person) if take.has_mesh(person) else None
    if known is not None and (known.ndim == 2) != free:
        known = None
    motion = solve_motion(keypoints, take.timestamps, take.intrinsics, network,
                          SolveSettings(smooth=smooth, height=settings.height, feet=False, free_shape=free),
                          detector_of(take), body=body, shape=known, by_hand=by_hand)
    if settings.feet:
        motion = stand([motion], [keypoints], [by_hand], take.timestamps, take.intrinsics, network, resize=False)[0]
    before = [f.scale for p in like or [person] if (f := take.footing(p))]
    return _sized(motion, before[0]) if before else motion


def _sized(motion: Motion, scale: float) -> Motion:
    footing = replace(motion.footing, scale=scale) if motion.footing else None
    path = motion.translation * np.float32(scale / motion.scale)
    return replace(motion, scale=scale, translation=path, footing=footing)


def _combined(take: Take, parts: dict[int, np.ndarray], taken: int = -1) -> int:
    """A new person with the keypoints and corrections of others in these rows, (T,) bool each; not seated yet."""
    made = max(_highest(take), taken) + 1
    keypoints = np.full((len(take), 23, 3), np.nan, np.float32)
    keypoints[..., 2] = 0
    pieces: list[Edits] = []
    for person, mask in parts.items():
        keypoints[mask] = take.keypoints(person)[mask]
        cells = np.repeat(~mask[:, None], 23, 1)
        pieces.append(take.edits(person).without(cells))
    edits = Edits(*(np.concatenate([getattr(p, name) for p in pieces])
                    for name in ("rows", "joints", "values", "before", "by_hand")))
    order = np.lexsort((edits.joints, edits.rows))
    edits = Edits(*(getattr(edits, name)[order] for name in ("rows", "joints", "values", "before", "by_hand")))
    take.set_keypoints(made, keypoints, stale=np.zeros(0, np.int64))
    take.set_edits(made, edits)
    return made


def _highest(take: Take) -> int:
    """The highest id that anybody ever had here, also by a run that was killed."""
    numbers = [p.name.removeprefix("person_") for p in take.folder.glob("person_*")]
    return max([*everybody(take), *take.info.get("tracked", []), *(int(n) for n in numbers if n.isdecimal())],
               default=-1)


def _solve_aside(take: Take, people: list[int], like: list[int] | None, network, progress, cancelled) -> None:
    """Meshes of people who are not seated, for all rows that are done; `like`: whose size they have."""
    settings = solved_with(take)
    body = body_of(settings)
    done = np.flatnonzero(take.done)
    for n, person in enumerate(people):
        motion = person_motion(take, person, network, smoothing_of(take.info, person), body, like)
        store_motion(take, person, motion, network)
        for start in range(0, len(done), PIECE):
            if cancelled and cancelled():
                raise Cancelled
            store_meshes(take, person, done[start:start + PIECE], motion, network, body)
            if progress:
                progress("mesh", n * len(done) + min(start + PIECE, len(done)), len(people) * len(done))


def _replace(take: Take, people: list[int], names: dict[int, str]) -> None:
    take.info.setdefault("benched", []).extend(
        {"id": p, "name": n, "solve": {f: take.info["solve"].get(f) for f in FACTS}} for p, n in names.items())
    seat(take, people)


def _sign(take: Take) -> None:
    """take.json with the key of the solve that the take now holds."""
    solve = take.info["solve"]
    if solve.get("key"):
        settings = solved_with(take)
        network = SimpleNamespace(hashes=solve.get("network", {}))
        solve["key"] = solve_key(take, settings, network, body_of(settings))
    take.save()
