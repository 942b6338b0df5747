"""How long skeleton and exports of a long clip take, and how large and how exact their files are."""
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

from ..core.body import load_body
from ..core.presets import PRESETS, ExportOptions
from ..core.rig import distances, fit_rig, rotation_of
from . import compat, mesh, shape_keys, takes
from .export_people import Written, export_people
from .sampling import Z_UP

FPS = 30.0


def bench_export(frames: int = 1000, say: Callable[[str], None] = print) -> dict[str, float]:
    """A body that moves all its joints, one person: seconds (and the processor's), megabytes, millimetres.

    say: is told each line as it is known.
    """
    points, path = dance(frames)
    said: dict[str, float] = {"frames": frames}

    def timed(name: str, work: Callable[[], object]) -> object:
        before = time.perf_counter(), time.process_time()
        result = work()
        said[f"{name}_s"] = time.perf_counter() - before[0]
        said[f"{name}_cpu_s"] = time.process_time() - before[1]
        return result

    rig = timed("rig", lambda: fit_rig(points))
    said["rig_mm"] = float(distances(rig, points).mean.mean())  # type: ignore[arg-type]
    say("skeleton for {frames} frames: {rig_s:.1f} s (processor {rig_cpu_s:.1f} s), {rig_mm:.2f} mm off".format(**said))
    body = load_body()
    local = (points - path[:, None]) @ Z_UP.T.astype(np.float32)
    data = mesh.new_mesh("Bench", local[0], body.faces, body.vt, body.ft)
    ob = bpy.data.objects.new("Bench", data)
    before = set(bpy.data.actions)
    bpy.context.scene.collection.objects.link(ob)
    try:
        numbers = np.arange(1, frames + 1)
        shape_keys.add_keys(ob, numbers, local, "Bench")
        bag = compat.new_action(ob, "Bench")
        for axis, values in enumerate((path @ Z_UP.T).T):
            compat.add_curve(bag, "location", numbers, values, index=axis)
        ob[takes.PERSON], ob[takes.FPS] = 0, FPS
        with tempfile.TemporaryDirectory() as folder:
            for name, file in (("unity", "game.fbx"), ("unity", "game.glb"), ("unreal", "unreal.fbx"),
                               ("compact", "compact.fbx"), ("vat", "vat.glb")):
                kind = f"{name}_{file.split('.')[-1]}"
                target = Path(folder, file)
                written = timed(kind, lambda t=target, p=PRESETS[name]: export_people(  # type: ignore[misc]
                    t, [ob], p, ExportOptions(budget=3.0, largest=15.0)))
                one: Written = written[0]  # type: ignore[index]
                said[f"{kind}_mb"] = sum(p.stat().st_size for p in one.paths) / 1e6
                say(f"{kind.replace('_', ' .')}: {said[f'{kind}_s']:.1f} s (processor {said[f'{kind}_cpu_s']:.1f} s), "
                    f"{said[f'{kind}_mb']:.1f} MB  {one.text}")
    finally:
        bpy.data.batch_remove([ob, data, *(set(bpy.data.actions) - before)])
    return said


def dance(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 6890, 3) of a body whose joints all swing at speeds of their own, and its path (N, 3); y up."""
    body, rng = load_body(), np.random.default_rng(0)
    seconds = np.arange(frames)[:, None, None] / FPS
    speed, phase = rng.uniform(1, 6, (24, 3)), rng.uniform(0, 6, (24, 3))
    reach = np.full((24, 1), 0.12)
    reach[[1, 2, 4, 5, 16, 17, 18, 19]] = 0.45
    rotations = rotation_of(reach * np.sin(speed * seconds + phase))
    for joint in range(1, 24):
        rotations[:, joint] = rotations[:, body.parents[joint]] @ rotations[:, joint]
    path = np.stack([np.sin(seconds[:, 0, 0] / 3), np.full(frames, 0.95), np.cos(seconds[:, 0, 0] / 3)], 1)
    out = np.empty((frames, 6890, 3), np.float32)
    for start in range(0, frames, 64):
        rows = slice(start, min(start + 64, frames))
        vertices, joints = body.pose(rotations[rows].astype(np.float32), np.zeros((rows.stop - start, 16), np.float32))
        out[rows] = vertices - joints[:, :1] + path[rows, None].astype(np.float32)
    return out, path.astype(np.float32)
