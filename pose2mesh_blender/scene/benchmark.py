"""How long Blender takes to receive and to play a long take."""
from __future__ import annotations

import statistics
import time

import bpy
import numpy as np

from ..core.body import load_body
from . import mesh, shape_keys

FRAMES = 1000


def bench_shape_keys(frames: int = FRAMES) -> dict[str, float]:
    """Seconds to write `frames` absolute shape keys of a body, and median ms to play one of them."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    body = load_body()
    vertices = body.v_template.astype(np.float32)
    ob = bpy.data.objects.new("Body", mesh.new_mesh("Body", vertices, body.faces, body.vt, body.ft))
    scene = bpy.context.scene
    scene.collection.objects.link(ob)
    moving = (vertices + np.float32(0.001 * i) for i in range(frames))
    begun = time.perf_counter()
    shape_keys.add_keys(ob, np.arange(1, frames + 1), moving, "Bench")
    written = time.perf_counter() - begun
    times = []
    for frame in range(1, min(frames, 200) + 1):
        before = time.perf_counter()
        scene.frame_set(frame)
        times.append(time.perf_counter() - before)
    return {"frames": frames, "write_s": written, "play_ms_per_frame": 1000 * statistics.median(times)}
