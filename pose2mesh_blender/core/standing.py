"""Motions with feet that neither slide nor sink: of a whole take, and of a part of it. No `bpy` module use."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from . import contacts
from .body import embedded_body
from .camera import confidence_of, pixels_to_rays
from .motion import Motion, chunks, one_shape, shapes_at
from .network import joints as J
from .network.engine import Network
from .placement import Floor, common_floor, fit_floor, gravity_up
from .reach import within_reach
from .sides import agreed
from .smoothing import pieces


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


def hold_rows(motion: Motion, first: int, last: int, keypoints: np.ndarray, timestamps: np.ndarray,
              intrinsics: np.ndarray, network: Network, footing: contacts.Footing,
              by_hand: np.ndarray | None = None) -> Motion:
    """Rows first..last of a take, from `solve_rows`, with the feet where the whole take's footing holds them.

    keypoints, timestamps, by_hand, footing: of the whole take.
    """
    rows = slice(first, last + 1)
    hand = np.zeros(keypoints[rows].shape[:2], bool) if by_hand is None else by_hand[rows]
    tracks = _tracks(motion, keypoints[rows], hand, timestamps[rows], intrinsics, network)
    return _hold(motion, footing.part(first, last), tracks)


def _soles(motion: Motion, tracks: list[tuple[slice, contacts.Track]], network: Network) -> np.ndarray:
    """(4,) see `contacts.soles`: measured on the meshes of a few frames."""
    if not tracks:
        return np.zeros(4)
    rows = np.concatenate([np.arange(rows.start, rows.stop) for rows, _ in tracks])
    points = np.concatenate([track.points for _, track in tracks])
    some = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 6)).astype(int))
    still = np.tile(np.eye(3), (len(some), 2, 3, 1, 1))
    mesh = network.mesh(motion.joints[rows[some]], shapes_at(motion.shape, rows[some]), still)
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
    keypoints, sure = keypoints.copy(), np.flatnonzero(motion.valid)
    keypoints[sure] = agreed(motion.joints[sure], keypoints[sure], intrinsics, J.DRAWN, by_hand[sure])
    keypoints = within_reach(keypoints, by_hand)
    confidence = confidence_of(keypoints)
    rays = np.nan_to_num(pixels_to_rays(keypoints[..., :2].astype(np.float64), intrinsics))
    path, tracks = motion.translation.astype(np.float64) / motion.scale, []
    for rows in pieces(motion.valid, timestamps, 0.0):
        points = [contacts.straight_toes(*network.posture(motion.joints[part], shapes_at(motion.shape, part)),
                                         embedded_body(), one_shape(motion.shape))
                  for part in chunks(np.arange(rows.start, rows.stop))]
        tracks.append((rows, contacts.Track(np.concatenate(points), path[rows], rays[rows], confidence[rows],
                                            by_hand[rows], timestamps[rows])))
    return tracks
