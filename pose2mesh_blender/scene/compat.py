"""What differs between Blender versions, in one place: layered actions (4.4 to 5.x) and their F-curves."""
from __future__ import annotations

from typing import Any

import bpy
import numpy as np

Animated = bpy.types.Object | bpy.types.Key  # what has an animation here
CONSTANT, LINEAR = 0, 1  # values of Keyframe.interpolation as foreach_set wants them


def new_action(owner: Animated, name: str) -> bpy.types.ActionChannelbag:
    """Give `owner` (an Object or a Key) a new action of its own and return the bag that takes its F-curves."""
    animation = owner.animation_data or owner.animation_data_create()
    action = bpy.data.actions.new(name)
    slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    strip: Any = action.layers.new("Layer").strips.new(type="KEYFRAME")
    bag = strip.channelbag(slot, ensure=True)
    animation.action = action
    animation.action_slot = slot  # an action that was empty when assigned leaves its slot unassigned
    return bag


def curves(owner: Animated | None) -> list[bpy.types.FCurve]:
    """The F-curves that move `owner` through its own action; empty when it has none."""
    animation = owner.animation_data if owner else None
    if not animation or not animation.action or not animation.action_slot:
        return []
    return [curve for bag in _bags(animation) for curve in bag.fcurves]


def find_curve(owner: Animated | None, path: str, index: int = 0) -> bpy.types.FCurve | None:
    return next((c for c in curves(owner) if c.data_path == path and c.array_index == index), None)


def add_curve(bag: bpy.types.ActionChannelbag, path: str, frames: np.ndarray, values: np.ndarray, *, index: int = 0,
              interpolation: int | np.ndarray = LINEAR) -> bpy.types.FCurve:
    """Write a whole F-curve at once. frames, values: (N,); interpolation: one value or (N,)."""
    curve = bag.fcurves.new(path, index=index)
    points = curve.keyframe_points
    points.add(len(frames))
    points.foreach_set("co", np.column_stack([frames, values]).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.broadcast_to(interpolation, len(frames)).astype(np.int32))
    curve.update()
    return curve


def key_frames(curve: bpy.types.FCurve) -> np.ndarray:
    """(N, 2) frame and value of every key of `curve`."""
    co = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", co)
    return co.reshape(-1, 2)


def set_values(curve: bpy.types.FCurve, values: np.ndarray, numbers: np.ndarray | None = None) -> None:
    """Other values (N,) for all keys of `curve`, or for those of these numbers (N,); handles go along."""
    points = key_frames(curve)
    numbers = np.arange(len(points)) if numbers is None else numbers
    shift = values - points[numbers, 1]
    for name in ("co", "handle_left", "handle_right"):
        co = np.empty(2 * len(points), np.float32)
        curve.keyframe_points.foreach_get(name, co)
        co[2 * numbers + 1] += shift
        curve.keyframe_points.foreach_set(name, co)
    curve.update()


def sample(curve: bpy.types.FCurve, frames: np.ndarray) -> np.ndarray:
    """Values of `curve` at `frames` (N,), as Blender plays it."""
    return np.fromiter((curve.evaluate(f) for f in frames), np.float64, len(frames))


def remove_action(owner: Animated | None) -> None:
    """Take `owner`'s action away, and delete it when nobody else uses it."""
    animation = owner.animation_data if owner else None
    if animation and (action := animation.action):
        animation.action = None
        if not action.users:
            bpy.data.actions.remove(action)


def own_action(owner: Animated) -> None:
    """Let a copied `owner` play a copy of the action that it shares with the original."""
    animation = owner.animation_data
    if animation and animation.action and animation.action.users > 1:
        slot = animation.action_slot.identifier if animation.action_slot else None
        animation.action = animation.action.copy()
        if slot:
            animation.action_slot = animation.action.slots[slot]


def shift_curves(owner: Animated, frames: float, drop: tuple[str, ...] = ()) -> None:
    """Move all of `owner`'s F-curves in time; those with a path in `drop` go."""
    animation = owner.animation_data
    if not animation or not animation.action or not animation.action_slot:
        return
    for bag in _bags(animation):
        for curve in list(bag.fcurves):
            if curve.data_path in drop:
                bag.fcurves.remove(curve)
                continue
            for name in ("co", "handle_left", "handle_right"):
                co = np.empty(2 * len(curve.keyframe_points), np.float32)
                curve.keyframe_points.foreach_get(name, co)
                co[::2] += frames
                curve.keyframe_points.foreach_set(name, co)
            curve.update()


def _bags(animation: Any) -> list[bpy.types.ActionChannelbag]:
    return [bag for layer in animation.action.layers for strip in layer.strips
            if (bag := strip.channelbag(animation.action_slot))]
