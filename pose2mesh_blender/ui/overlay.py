"""Skeletons over the footage, drawn in the Movie Clip Editor and in the camera's view of the 3D viewport.

They show the markers as they are at this moment, while they are dragged too.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..core.errors import TakeError
from ..core.take import Take
from ..scene import camera, corrected, takes, tracks
from . import keypoints
from .keypoint_properties import keypoint_settings, person_settings
from .skeletons import PALETTE, Drawing, skeleton

_handlers: list[tuple[Any, Any]] = []
_takes: dict[str, tuple[float, Take | None]] = {}  # folder -> when take.json was written, the take


def add() -> None:
    _handlers.append((bpy.types.SpaceClipEditor, bpy.types.SpaceClipEditor.draw_handler_add(
        _draw_clip, (), "WINDOW", "POST_PIXEL")))
    _handlers.append((bpy.types.SpaceView3D, bpy.types.SpaceView3D.draw_handler_add(
        _draw_view, (), "WINDOW", "POST_PIXEL")))


def remove() -> None:
    while _handlers:
        space, handler = _handlers.pop()
        space.draw_handler_remove(handler, "WINDOW")
    _takes.clear()


def _draw_clip() -> None:
    context = bpy.context
    space: Any = context.space_data
    if not keypoint_settings(context.scene).overlay_clip or space.view != "CLIP" or not space.clip:
        return
    clip, view = space.clip, context.region.view2d
    origin, corner = (np.array(view.view_to_region(*at, clip=False), float) for at in ((0.0, 0.0), (1.0, 1.0)))
    for points, *rest in _people(context, clip):
        _draw(skeleton(origin + points * (corner - origin), *rest))


def _draw_view() -> None:
    context = bpy.context
    space: Any = context.space_data
    view = context.region_data
    if not keypoint_settings(context.scene).overlay_camera or view is None or view.view_perspective != "CAMERA":
        return
    seen_by = space.camera if space.use_local_camera else context.scene.camera
    for collection in takes.takes_in(context.scene):
        if seen_by is None or takes.take_camera(collection) != seen_by:
            continue
        clip = takes.clip_of(collection)
        take = _take(collection[takes.TAKE])
        if clip is None or take is None:
            continue
        matrix = np.array(view.perspective_matrix) @ np.array(seen_by.matrix_world) @ camera.BLENDER_FROM_OPENCV
        for points, *rest in _people(context, clip, collection[takes.TAKE]):
            pixels = np.stack([points[:, 0] * take.image_size[0], (1 - points[:, 1]) * take.image_size[1]], 1)
            rays = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(take.intrinsics).T
            flat = np.column_stack([rays, np.ones(len(rays))]) @ matrix.T
            size = np.array([context.region.width, context.region.height]) / 2
            _draw(skeleton((flat[:, :2] / flat[:, 3:] + 1) * size, *rest))


def _people(context: bpy.types.Context, clip: bpy.types.MovieClip, folder: str | None = None):
    """(points (23, 2) shares of the picture, confidence, by hand, colour, scale) of everybody shown in this frame."""
    frame = context.scene.frame_current - clip.frame_start + 1
    here = takes.takes_in(context.scene)
    scale = context.preferences.system.ui_scale
    for number, tracked in enumerate(tracks.tracked_in(clip)):
        if folder not in (None, tracked.folder):
            continue
        obs = [ob for collection, ob in corrected.people_showing(tracked.folder, tracked.person) if collection in here]
        take = _take(tracked.folder)
        if not obs or take is None or tracked.person not in take.people or not person_settings(obs[0]).overlay:
            continue
        base = keypoints.base(tracked, take)
        inside = np.flatnonzero(base.frames == frame)
        if not len(inside):
            continue
        confidence = np.nan_to_num(base.keypoints[inside[-1], :, 2])
        points, by_hand = np.full((len(tracks.NAMES), 2), np.nan), np.zeros(len(tracks.NAMES), bool)
        shown = {track.name: track for track in tracked.object.tracks if not track.hide}
        for joint, name in enumerate(tracks.NAMES):
            marker = shown[name].markers.find_frame(frame) if name in shown else None
            if marker is not None:
                points[joint], by_hand[joint] = marker.co, marker.is_keyed
                confidence[joint] = 0.0 if marker.mute else 1.0 if marker.is_keyed else confidence[joint]
        ob = obs[0]
        own = tuple(ob.color[:3])
        yield points, confidence, by_hand, own if own != (1.0, 1.0, 1.0) else PALETTE[number % len(PALETTE)], scale


def _take(folder: str) -> Take | None:
    """The take, opened again when it was written since; None when it cannot be read."""
    try:
        written = (Path(folder) / "take.json").stat().st_mtime
        if _takes.get(folder, (0.0, None))[0] != written:
            _takes[folder] = (written, Take.open(folder))
    except (OSError, TakeError):
        _takes[folder] = (0.0, None)
    return _takes[folder][1]


def _draw(drawing: Drawing) -> None:
    """Lines with a dark edge, so that they are seen on any footage, then dots."""
    state, make_batch = cast(Any, gpu.state), cast(Any, batch_for_shader)
    gpu.state.blend_set("ALPHA")
    try:
        if len(drawing.lines):
            shader = gpu.shader.from_builtin("POLYLINE_SMOOTH_COLOR")
            dark = np.column_stack([np.zeros((len(drawing.lines), 3), np.float32), 0.6 * drawing.line_colours[:, 3]])
            for colours, width in ((dark, 4.0), (drawing.line_colours, 2.0)):
                batch = make_batch(shader, "LINES", {
                    "pos": _flat(drawing.lines), "color": np.repeat(colours, 2, 0).astype(np.float32)})
                shader.uniform_float("viewportSize", state.viewport_get()[2:])
                shader.uniform_float("lineWidth", width * bpy.context.preferences.system.ui_scale)
                batch.draw(shader)
        if len(drawing.triangles):
            shader = gpu.shader.from_builtin("SMOOTH_COLOR")
            batch = make_batch(shader, "TRIS", {
                "pos": _flat(drawing.triangles), "color": np.repeat(drawing.triangle_colours, 3, 0)})
            batch.draw(shader)
    finally:
        gpu.state.blend_set("NONE")


def _flat(points: np.ndarray) -> np.ndarray:
    """(N, K, 2) -> (N * K, 3), z = 0."""
    points = points.reshape(-1, 2)
    return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)
