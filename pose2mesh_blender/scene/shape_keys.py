"""Shape keys of a moving mesh, stored in either of two ways that convert into each other without loss.

*Absolute*: one F-curve, `eval_time`, walks through the keys; fast to play, retimed by moving two points.
*Relative*: every key has its own value F-curve; what FBX, glTF and USD understand.
"""
from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from . import compat

SPACING = 10.0  # Blender places absolute keys at eval_time 0 (Basis), 10, 20, ...
TimeLine = tuple[np.ndarray, np.ndarray, np.ndarray]  # (N,) scene frames, eval_time there, whether it holds on


def add_keys(ob: bpy.types.Object, frames: np.ndarray, vertices, action_name: str,
             held: np.ndarray | None = None) -> None:
    """Basis (the mesh as it is) and one absolute shape key per frame, played by one `eval_time` curve.

    frames: (N,) increasing scene frames. vertices: iterable of N float32 arrays (V, 3) in the object's space.
    held: (N,) bool, which poses stay until the next key (default: those before a gap in `frames`).
    """
    ob.shape_key_add(name="Basis")
    for frame, positions in zip(frames, vertices):
        block = ob.shape_key_add(name=f"f{int(frame):06d}", from_mix=False)
        block.points.foreach_set("co", np.ascontiguousarray(positions, np.float32).ravel())
    key = ob.data.shape_keys
    key.use_relative = False
    key.name = ob.data.name
    write_eval_time(key, action_name, np.asarray(frames, float), SPACING * np.arange(1, len(frames) + 1),
                     gaps(frames) if held is None else held)


def gaps(steps: np.ndarray) -> np.ndarray:
    """(N,) increasing numbers -> (N,) bool: after which of them comes a longer step than usual."""
    step = np.diff(steps)
    return np.append(step > 1.5 * np.median(step) if len(step) else [], False).astype(bool)


def to_relative(ob: bpy.types.Object, by_index: bool = False) -> None:
    """Turn absolute keys into relative ones that show the same shape at every whole frame and at every key.

    by_index: curves find their key by its number instead of its name. Blender up to 5.0 looks each name up in every
    frame, which makes 1000 keys several times slower; but a number goes wrong when a user reorders the keys.
    """
    key = ob.data.shape_keys
    if key.use_relative:
        return
    curve = compat.find_curve(key, "eval_time")
    blocks = key.key_blocks
    if curve is None:
        frames, times, held = np.zeros(1), np.array([key.eval_time]), np.zeros(1, bool)
    else:
        frames, times, held = samples(curve)
    weights = weights_at(times, len(blocks))
    name = key.animation_data.action.name if curve else ob.name
    compat.remove_action(key)
    key.use_relative = True
    bag = compat.new_action(key, name)
    for column in range(1, len(blocks)):
        used = np.flatnonzero(weights[:, column])
        if not len(used):
            blocks[column].value = 0.0
            continue
        # the neighbours of a key's non-zero stretch hold it at zero; more points would say nothing new
        near = np.unique(np.clip(used[:, None] + np.arange(-1, 2), 0, len(frames) - 1))
        key_name = column if by_index else f'"{blocks[column].name}"'
        compat.add_curve(bag, f"key_blocks[{key_name}].value", frames[near], weights[near, column],
                         interpolation=np.where(held[near], compat.CONSTANT, compat.LINEAR))


def to_absolute(ob: bpy.types.Object, line: TimeLine | None = None) -> None:
    """Turn relative keys back into absolute ones.

    line: what `time_line` says of `ob`, when it was asked before. Raises ValueError as that does.
    """
    key = ob.data.shape_keys
    if not key.use_relative:
        return
    frames, times, held = line or time_line(ob)
    action = key.animation_data.action.name if key.animation_data and key.animation_data.action else ob.name
    compat.remove_action(key)
    for block in key.key_blocks:
        block.value = 0.0
    key.use_relative = False
    write_eval_time(key, action, frames, times, held)


def time_line(ob: bpy.types.Object) -> TimeLine:
    """What relative keys are as absolute ones; changes nothing.

    Raises ValueError when the values are not those of one walk through the keys (somebody mixed them by hand).
    """
    key = ob.data.shape_keys
    blocks = key.key_blocks
    by_path = {c.data_path: c for c in compat.curves(key)}
    columns = [by_path.get(f'key_blocks["{b.name}"].value') for b in blocks]
    points = [compat.key_frames(c) for c in columns if c]
    frames = np.unique(np.concatenate([p[:, 0] for p in points])) if points else np.zeros(1)
    weights = np.column_stack([compat.sample(c, frames) if c else np.full(len(frames), b.value if i else 0.0)
                               for i, (b, c) in enumerate(zip(blocks, columns))])
    times = _times(weights)
    held = np.zeros(len(frames), bool)
    for curve in filter(None, columns):
        for point in curve.keyframe_points:
            if point.interpolation == "CONSTANT":
                held[np.searchsorted(frames, point.co[0])] = True
    return frames, times, held


def write_eval_time(key: bpy.types.Key, name: str, frames: np.ndarray, times: np.ndarray,
                     held: np.ndarray) -> None:
    """The `eval_time` curve with as few points as the motion allows; `held` poses stay until the next one."""
    keep = np.ones(len(frames), bool)
    keep[1:-1] = (np.abs(np.diff(frames, 2)) > 1e-6) | (np.abs(np.diff(times, 2)) > 1e-6) | held[1:-1] | held[:-2]
    bag = compat.new_action(key, name)
    compat.add_curve(bag, "eval_time", frames[keep], times[keep],
                     interpolation=np.where(held[keep], compat.CONSTANT, compat.LINEAR))


def samples(curve: bpy.types.FCurve) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (the curve's keys and the whole frames between), eval_time there, and where it holds until the next."""
    keys = compat.key_frames(curve)[:, 0].astype(float)
    whole = np.arange(np.ceil(keys[0]), keys[-1] + 1)
    stops = [i for i, point in enumerate(list(curve.keyframe_points)[:-1]) if point.interpolation == "CONSTANT"]
    for i in stops:
        whole = whole[(whole <= keys[i]) | (whole >= keys[i + 1])]
    frames = np.unique(np.concatenate([keys, whole]))
    return frames, compat.sample(curve, frames), np.isin(frames, keys[stops])


def shapes_at(ob: bpy.types.Object, frames: np.ndarray) -> Iterator[np.ndarray]:
    """(V, 3) float32 per scene frame (N,): what the keys show there, whatever their storage."""
    key = ob.data.shape_keys
    blocks = list(key.key_blocks)
    if key.use_relative:
        curves = {c.data_path: c for c in compat.curves(key)}
        weights = np.column_stack([compat.sample(c, frames) if (c := curves.get(f'key_blocks["{b.name}"].value'))
                                   else np.full(len(frames), b.value) for b in blocks])
        weights[:, 0] = 1 - weights[:, 1:].sum(1)
    else:
        curve = compat.find_curve(key, "eval_time")
        times = compat.sample(curve, frames) if curve else np.full(len(frames), key.eval_time)
        weights = weights_at(times, len(blocks))
    known: dict[int, np.ndarray] = {}
    for row in weights:
        used = np.flatnonzero(np.abs(row) > 1e-7).tolist()
        known = {i: known[i] if i in known else positions(blocks[i]) for i in used}
        yield sum(np.float32(row[i]) * known[i] for i in used).reshape(-1, 3)  # type: ignore[union-attr]


def positions(block: bpy.types.ShapeKey) -> np.ndarray:
    """(3V,) float32."""
    flat = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", flat)
    return flat


def weights_at(times: np.ndarray, count: int) -> np.ndarray:
    """(N,) eval_time -> (N, count) share of each key; at most two neighbours are non-zero."""
    place = np.clip(times / SPACING, 0, count - 1)
    near = np.round(place)
    place = np.where(np.abs(place - near) < 1e-4, near, place)  # float32 curves miss whole keys by a hair
    low = np.minimum(place.astype(int), count - 2)
    weights = np.zeros((len(times), count))
    rows = np.arange(len(times))
    weights[rows, low + 1] = place - low
    weights[rows, low] = 1 - (place - low)
    return weights


def _times(weights: np.ndarray) -> np.ndarray:
    """(N, count) shares as `_weights` makes them, Basis column ignored -> (N,) eval_time."""
    shares = weights.copy()
    shares[:, 0] = np.where(shares[:, 1] > 0, 1 - shares[:, 1:].sum(1), 0.0)
    shares[:, 0] = np.where(np.abs(shares[:, 1:]).max(1) < 1e-9, 1.0, shares[:, 0])
    place = shares @ np.arange(shares.shape[1])
    if np.abs(weights_at(SPACING * place, shares.shape[1])[:, 1:] - shares[:, 1:]).max() > 1e-3:
        raise ValueError("These shape keys are mixed by hand and cannot be put on one time line.")
    return SPACING * place
