"""How fast shape keys are written and played in this Blender."""
from __future__ import annotations

import statistics
import time
from typing import Any

import bpy
import numpy as np

from ..core.body import load_body
from . import mesh, shape_keys


def bench_shape_keys(frames: int = 1000) -> dict[str, float]:
    """Write `frames` shape keys of a full body and play them, in a scene of its own.

    Returns write_s (seconds for all keys with their curve), play_ms (median per frame, evaluated), play_max_ms.
    """
    body = load_body()
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.01, (frames, 1, 3)).cumsum(0).astype(np.float32)
    scene = bpy.data.scenes.new("Bench")
    data = mesh.new_mesh("Bench", body.v_template, body.faces, body.vt, body.ft)
    ob = bpy.data.objects.new("Bench", data)
    scene.collection.objects.link(ob)
    try:
        started = time.perf_counter()
        shape_keys.add_keys(ob, np.arange(1, frames + 1), (body.v_template + step for step in steps), "Bench")
        written = time.perf_counter() - started
        override: Any = bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0])
        with override:
            shown = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())  # frame_set evaluates only what has a graph
            ticks = []
            for frame in range(1, min(frames, 200) + 1):
                started = time.perf_counter()
                scene.frame_set(frame)
                ticks.append(1000 * (time.perf_counter() - started))
                expected = body.v_template[0] + steps[frame - 1, 0]
                assert np.abs(np.array(shown.data.vertices[0].co) - expected).max() < 1e-4, "the mesh did not follow"
        return {"frames": frames, "write_s": written, "play_ms": statistics.median(ticks),
                "play_max_ms": max(ticks[1:])}
    finally:
        actions = [a for a in bpy.data.actions if a.name.startswith("Bench")]
        bpy.data.batch_remove([ob, data, *actions])
        bpy.data.scenes.remove(scene)
