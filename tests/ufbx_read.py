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


def matrix(m) -> np.ndarray:
    """(4, 4) of ufbx's 3 x 4."""
    out = np.eye(4)
    for column, name in enumerate(("c0", "c1", "c2", "c3")):
        value = hold(getattr(m, name))
        out[:3, column] = value.x, value.y, value.z
    return out


def place_of(anim, node, time: float) -> np.ndarray:
    """(4, 4) from a node to its parent at a time."""
    place = hold(ufbx.evaluate_transform(anim, node, time))
    out = np.eye(4)
    out[:3, :3] = turn(np.eye(3), place.rotation).T * np.array(place.scale)
    out[:3, 3] = place.translation
    return out


def node_facts(node) -> dict:
    transform = hold(node.local_transform)
    scale, rotation = hold(transform.scale), hold(transform.rotation)
    return {"scale": [getattr(scale, a) for a in "xyz"],
            "turned": float(np.degrees(2 * np.arccos(min(1.0, abs(rotation.w)))))}


class Skin:
    """Linear blend skinning by ufbx's clusters."""

    def __init__(self, mesh) -> None:
        deformers = every(mesh.skin_deformers)
        self.clusters = [(hold(c.bone_node).typed_id, matrix(hold(c.geometry_to_bone)), np.array(hold(c.vertices)),
                          np.array(hold(c.weights))) for d in deformers for c in every(d.clusters)]
        self.clusters = [c for c in self.clusters if len(c[2])]
        self.influences = np.zeros(len(mesh.vertices), int)
        for _, _, vertices, _ in self.clusters:
            self.influences[vertices] += 1

    def pose(self, points: np.ndarray, world: dict[int, np.ndarray]) -> np.ndarray:
        out, total = np.zeros_like(points), np.zeros((len(points), 1))
        for bone, bind, vertices, weights in self.clusters:
            m = world[bone] @ bind
            out[vertices] += weights[:, None] * (points[vertices] @ m[:3, :3].T + m[:3, 3])
            total[vertices] += weights[:, None]
        return out / total


def main(path: str, out: str, times: list[float]) -> None:
    scene = hold(ufbx.load_file(path))
    stacks = every(scene.anim_stacks)
    anim = hold(stacks[0].anim if stacks else scene.anim)
    curves = every(scene.anim_curves)
    settings = hold(scene.settings)
    facts = {"fps": settings.frames_per_second, "unit": settings.unit_meters, "up": hold(hold(settings.axes).up).name,
             "stacks": [s.name for s in stacks], "curves": len(curves),
             "start": sorted({c.min_time for c in curves}), "end": sorted({c.max_time for c in curves}),
             "keys": sorted({len(c.keyframes) for c in curves}),
             "textures": [len(t.content) for t in every(scene.textures)], "meshes": []}
    positions: list[list[np.ndarray]] = [[] for _ in times]
    nodes = every(scene.nodes)
    parents = {n.typed_id: p.typed_id for n in nodes if (p := hold(n.parent)) is not None}
    world_at = []
    for time in times:
        world: dict[int, np.ndarray] = {}
        for node in sorted(nodes, key=lambda n: n.node_depth):
            own = place_of(anim, node, time)
            world[node.typed_id] = world[parents[node.typed_id]] @ own if node.typed_id in parents else own
        world_at.append(world)
    facts["bones"] = [n.name for n in nodes if hold(n.bone) is not None]
    facts["finite"] = bool(all(np.isfinite([hold(k).value for k in every(c.keyframes)]).all() for c in curves))
    facts["nodes"] = {n.name: node_facts(n) for n in nodes}
    for node in nodes:
        mesh = hold(node.mesh)
        if mesh is None:
            continue
        base = array(hold(mesh.vertices))
        channels = [(c, hold(c.target_shape)) for d in every(mesh.blend_deformers) for c in every(d.channels)]
        channels = [(c, np.array(hold(s.offset_vertices)), array(hold(s.position_offsets))) for c, s in channels]
        skin = Skin(mesh)
        for time, posed_at, world in zip(times, positions, world_at):
            posed = base.copy()
            for channel, index, offset in channels:
                if weight := ufbx.evaluate_blend_weight(anim, channel, time):
                    posed[index] += weight * offset
            if skin.clusters:
                posed_at.append(skin.pose(posed, world))
            else:
                m = world[node.typed_id]
                posed_at.append(posed @ m[:3, :3].T + m[:3, 3])
        facts["meshes"].append({
            "name": node.name, "points": len(base), "shapes": len(channels), "triangles": mesh.num_triangles,
            "uv_sets": len(mesh.uv_sets), "influences": int(skin.influences.max(initial=0)),
            "unskinned": int((skin.influences == 0).sum()), **node_facts(node)})
    np.concatenate([p.ravel() for row in positions for p in row] or [np.zeros(0)]).astype(np.float32).tofile(out)
    print(json.dumps(facts), flush=True)


gc.disable()
main(sys.argv[1], sys.argv[2], [float(t) for t in sys.argv[3:]])
os._exit(0)
