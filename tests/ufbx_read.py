"""Reads an FBX with ufbx and writes what its meshes look like at given times; a program of its own, run by fbx_readers.

ufbx_read.py FILE.fbx OUT.bin TIME...   prints JSON; OUT.bin holds, per time and mesh, float32 positions (V, 3).

The Python binding (0.0.5) hands out elements without counting references and its objects break the garbage collector:
every element is held, nothing is collected, and the process ends without cleaning up.
"""
from __future__ import annotations

import ctypes
import gc
import json
import os
import sys

import numpy as np
import ufbx


def hold(element):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(element))
    return element


def every(values) -> list:
    return [hold(values[i]) for i in range(len(values))]


def array(values) -> np.ndarray:
    return np.array([(v.x, v.y, v.z) for v in values])


def turn(points: np.ndarray, quaternion) -> np.ndarray:
    """points (N, 3) rotated by a unit quaternion (x, y, z, w)."""
    axis, w = np.array(quaternion[:3]), quaternion[3]
    across = 2 * np.cross(axis, points)
    return points + w * across + np.cross(axis, across)


def main(path: str, out: str, times: list[float]) -> None:
    scene = hold(ufbx.load_file(path))
    stacks = every(scene.anim_stacks)
    anim = hold(stacks[0].anim)
    curves = every(scene.anim_curves)
    settings = hold(scene.settings)
    facts = {"fps": settings.frames_per_second, "unit": settings.unit_meters, "up": hold(hold(settings.axes).up).name,
             "stacks": [s.name for s in stacks], "curves": len(curves),
             "start": sorted({c.min_time for c in curves}), "end": sorted({c.max_time for c in curves}),
             "keys": sorted({len(c.keyframes) for c in curves}),
             "textures": [len(t.content) for t in every(scene.textures)], "meshes": []}
    positions: list[list[np.ndarray]] = [[] for _ in times]
    for node in every(scene.nodes):
        mesh = hold(node.mesh)
        if mesh is None:
            continue
        base = array(hold(mesh.vertices))
        channels = [(c, hold(c.target_shape)) for d in every(mesh.blend_deformers) for c in every(d.channels)]
        channels = [(c, np.array(hold(s.offset_vertices)), array(hold(s.position_offsets))) for c, s in channels]
        for time, posed_at in zip(times, positions):
            posed = base.copy()
            for channel, index, offset in channels:
                if weight := ufbx.evaluate_blend_weight(anim, channel, time):
                    posed[index] += weight * offset
            place = hold(ufbx.evaluate_transform(anim, node, time))
            posed_at.append(turn(posed * place.scale, place.rotation) + place.translation)
        transform = hold(node.local_transform)
        scale, rotation = hold(transform.scale), hold(transform.rotation)
        facts["meshes"].append({
            "name": node.name, "points": len(base), "shapes": len(channels), "triangles": mesh.num_triangles,
            "uv_sets": len(mesh.uv_sets), "scale": [getattr(scale, a) for a in "xyz"],
            "turned": float(np.degrees(2 * np.arccos(min(1.0, abs(rotation.w)))))})
    np.concatenate([p.ravel() for row in positions for p in row] or [np.zeros(0)]).astype(np.float32).tofile(out)
    print(json.dumps(facts), flush=True)


gc.disable()
main(sys.argv[1], sys.argv[2], [float(t) for t in sys.argv[3:]])
os._exit(0)
