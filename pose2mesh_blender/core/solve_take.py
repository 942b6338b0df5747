"""From the keypoints of a take to its meshes, which are stored piece by piece. No `bpy` module use."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np

from .body import Body, load_body
from .errors import Cancelled
from .motion import Motion
from .network.engine import Network
from .placement import world_from_camera
from .progress import Progress, keeps, never, silent
from .settings import Settings
from .smoothing import is_free, smoothing_of
from .solve import SolveSettings, mesh_frames, solve_motion
from .stages import Stages
from .standing import stand
from .take import Take

MESH_CHUNK = 32  # rows


def solve_take(take: Take, network, settings: Settings | None = None, progress: Progress | None = None,
               cancelled: Callable[[], bool] | None = None, body: Body | None = None) -> None:
    """Keypoints to meshes for every detected row that is not solved with these settings yet.

    body: default is that of the settings. Raises Cancelled after the piece in work is stored.
    """
    settings, progress, cancelled = settings or Settings(), progress or silent, cancelled or never
    body = body or body_of(settings)
    key = solve_key(take, settings, network, body)
    if take.info["solve"].get("key") != key:
        take.clear_solved()
        take.info["solve"] = {"key": key, "smooth": settings.smooth, "feet": settings.feet,
                              "height": settings.height, "body": settings.body, "free_shape": settings.free_shape,
                              "engine": network.engine, "network": network.hashes}
        take.save()
    todo = np.flatnonzero(take.detected & ~take.solved)
    motions = {}
    if len(todo):
        by_hand = {person: take.edits(person).mask(len(take)) for person in take.people}
        whole, at_once = len(take) * len(take.people), getattr(cancelled, "at_once", cancelled)
        for n, person in enumerate(take.people):
            def tick(share: float, before: int = n * len(take)) -> None:
                progress("solve", before + int(share * len(take)), whole)
                if at_once():
                    raise Cancelled

            own = SolveSettings(smooth=smoothing_of(take.info, person), height=settings.height,
                                feet=False,  # everybody's together, below
                                free_shape=is_free(take.info, person))
            motions[person] = solve_motion(take.keypoints(person), take.timestamps, take.intrinsics, network,
                                           own, detector=detector_of(take), tick=tick, body=body,
                                           by_hand=by_hand[person])
        if settings.feet:
            standing = stand(list(motions.values()), [take.keypoints(p) for p in motions], list(by_hand.values()),
                             take.timestamps, take.intrinsics, network, resize=settings.height is None)
            motions = dict(zip(motions, standing))
        for person, motion in motions.items():
            store_motion(take, person, motion, network)
        progress("solve", whole, whole)
        keeps(cancelled)  # asked while nothing was finished: there is nothing to stop at yet
    total, before = int(take.detected.sum()), int(take.solved.sum())
    try:
        for start in range(0, len(todo), MESH_CHUNK):
            rows = todo[start:start + MESH_CHUNK]
            for person, motion in motions.items():
                store_meshes(take, person, rows, motion, network, body)
            take.mark_solved(rows)
            progress("mesh", before + start + len(rows), total)
            if cancelled():
                raise Cancelled
    finally:
        people = [take.joints(p) + take.translation(p)[:, None] for p in take.people if take.has_mesh(p)]
        if people:
            floors = [f.scaled_floor for f in map(take.footing, take.people) if f is not None]
            world = world_from_camera(people, floors[0] if floors else None)  # the most prominent person's
            take.info["world_from_camera"] = np.asarray(world, np.float64).tolist()
            take.save()


def store_motion(take: Take, person: int, motion: Motion, network: Network) -> None:
    """All of a motion of the whole take but its meshes, whose arrays are made; the caller saves take.json."""
    take.prepare_mesh(person, motion.shape)
    take.write_footing(person, motion.footing)
    store_stages(take, person, motion.stages, network)


def store_stages(take: Take, person: int, stages: Stages, network: Network) -> None:
    """Stages of the whole take, and whose they are; the caller saves take.json."""
    take.write_stages(person, stages)
    take.info.setdefault("lifted_by", {})[str(person)] = network.hashes


def stages_of(take: Take, person: int, network: Network) -> Stages | None:
    """None where the take has none of this network: a part that another one lifts does not fit in."""
    lifted_by = take.info.get("lifted_by", {}).get(str(person), take.info["solve"].get("network"))
    return take.stages(person) if lifted_by == network.hashes else None


def store_meshes(take: Take, person: int, rows: np.ndarray, motion: Motion, network: Network, body: Body) -> None:
    """Meshes, joints and places of these rows (N,) of a motion of the whole take; NaN where the person is absent."""
    vertices = np.full((len(rows), 6890, 3), np.nan, np.float32)
    joints = np.full((len(rows), 24, 3), np.nan, np.float32)
    valid = motion.valid[rows]
    if valid.any():
        vertices[valid] = mesh_frames(motion, network, rows[valid], body)
        joints[valid] = body.regress("smpl24", vertices[valid])
    take.write_mesh(person, rows, vertices, np.where(valid[:, None], motion.translation[rows], np.nan), joints)


def solve_key(take: Take, settings: Settings, network, body: Body) -> str:
    digest = hashlib.sha256(json.dumps([take.info["intrinsics"], settings.smooth, settings.feet, settings.height,
                                        network.hashes, take.people, take.info.get("smoothing", {}),
                                        [is_free({**take.info, "solve": vars(settings)}, p) for p in take.people]],
                                       sort_keys=True).encode())
    digest.update(body.v_template.tobytes())
    for person in take.people:
        digest.update(take.keypoints(person).tobytes() + take.edits(person).mask(len(take)).tobytes())
    return digest.hexdigest()


def detector_of(take: Take) -> str:
    """Whose joint definitions the keypoints follow, for `solve_motion`."""
    return "other" if take.footage.get("kind") == "keypoints" else "movenet"


def body_of(settings: Settings) -> Body:
    """The bundled body, or the user's own SMPL file."""
    if settings.body is None:
        return load_body()
    from .smpl_file import read_smpl, smpl_to_body

    return smpl_to_body(read_smpl(settings.body))
