"""Compact shape keys: a clip's main movements (PCA) instead of a key per frame, with the error that costs.

64 keys hold a walk of 1000 frames to a fraction of a millimetre in a tenth of the space. What is left out comes back
from the take.
"""
from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np

from ..core.errors import TakeError
from . import compat, shape_keys

ERROR = "pose2mesh_error"  # of a person with compact keys: largest error, millimetres
LINE = "pose2mesh_time_line"  # the time line that the absolute keys had: frames, times, held, one after the other


def is_compact(ob: bpy.types.Object) -> bool:
    return ob.get(ERROR) is not None


def error_of(ob: bpy.types.Object) -> float:
    """Millimetres that a vertex is off at most."""
    return float(ob.get(ERROR, 0.0))


def to_compact(ob: bpy.types.Object, count: int = 64) -> float:
    """Replaces the keys by at most `count` movements with a value curve each; returns the error in millimetres.

    Raises ValueError when keys are mixed by hand, TakeError when they are not animated.
    """
    if is_compact(ob):
        return error_of(ob)
    shape_keys.to_absolute(ob)
    key = ob.data.shape_keys
    curve = compat.find_curve(key, "eval_time")
    if curve is None:
        raise TakeError(f"{ob.name}: its shape keys are not animated.", "Animate the footage again.")
    frames, times, held = shape_keys.samples(curve)
    own = compat.key_frames(curve)[:, 0]
    line = np.isin(frames, own)
    poses = np.stack([shape_keys.positions(block) for block in key.key_blocks])  # Basis first
    middle = poses.mean(0)
    poses -= middle
    values, vectors = np.linalg.eigh((poses @ poses.T).astype(np.float64))
    strongest = vectors[:, np.argsort(values)[::-1][:min(count, len(poses) - 1)]]
    # orthonormal again: the products above are float32, and what is weak in them is noise
    parts = np.linalg.qr((strongest.T.astype(np.float32) @ poses).T)[0].T  # (K, 3V)
    weights = poses @ parts.T
    off = poses - weights @ parts
    error = 1000 * float(np.sqrt(np.square(off.reshape(len(off), -1, 3)).sum(2).max()))
    low, high = weights.min(0), weights.max(0)
    spread = np.maximum(high - low, 1e-12)
    basis, parts = middle + low @ parts, parts * spread[:, None]
    shares = shape_keys.weights_at(times, len(poses)) @ ((weights - low) / spread)
    name = key.animation_data.action.name
    _clear(ob)
    ob.data.attributes["position"].data.foreach_set("vector", basis)
    ob.shape_key_add(name="Basis")
    for number, part in enumerate(parts, 1):
        block = ob.shape_key_add(name=f"m{number:03d}", from_mix=False)
        block.points.foreach_set("co", basis + part)
    key = ob.data.shape_keys
    key.name = ob.data.name
    bag = compat.new_action(key, name)
    for number, share in enumerate(shares.T, 1):
        compat.add_curve(bag, f'key_blocks["m{number:03d}"].value', frames, share,
                         interpolation=np.where(held, compat.CONSTANT, compat.LINEAR))
    ob[LINE] = np.concatenate([frames[line], times[line], held[line]]).tolist()
    ob[ERROR] = error
    return error


def forget(ob: bpy.types.Object) -> None:
    """The keys are about to be made anew, as absolute ones."""
    ob.data.shape_keys.use_relative = False
    del ob[ERROR], ob[LINE]


def to_absolute(ob: bpy.types.Object, poses: Iterable[np.ndarray]) -> None:
    """Exact keys again, (V, 3) each, in the order that they had; the time line is as it was."""
    name = ob.data.shape_keys.animation_data.action.name
    frames, times, held = np.array(ob[LINE]).reshape(3, -1)
    _clear(ob)
    for number, positions in enumerate(poses):
        flat = np.ascontiguousarray(positions, np.float32).ravel()
        if number == 0:
            ob.data.attributes["position"].data.foreach_set("vector", flat)
            ob.shape_key_add(name="Basis")
        ob.shape_key_add(name=f"f{number:06d}", from_mix=False).points.foreach_set("co", flat)
    key = ob.data.shape_keys
    key.use_relative, key.name = False, ob.data.name
    shape_keys.write_eval_time(key, name, frames, times, held > 0)
    del ob[ERROR], ob[LINE]


def _clear(ob: bpy.types.Object) -> None:
    compat.remove_action(ob.data.shape_keys)
    ob.shape_key_clear()
