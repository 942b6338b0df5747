"""The exported character in three.js in a browser: the same picture as Blender's render of the take."""
from __future__ import annotations

import bpy
import numpy as np
import pytest
from page_pictures import blender_pictures, difference, page_pictures, view_of, world_points
from walking_take import FPS, make_take

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.skinned import export_skinned

ROWS = [0, 11, 22]  # of 30, at both ends of a step
MILLIMETRE = 1e-3


@pytest.mark.slow
def test_a_browser_shows_what_blender_shows(tmp_path, browser):
    bpy.context.scene.render.fps = int(FPS)
    take = make_take(tmp_path / "take", 30)
    files = [tmp_path / "walk.fbx", tmp_path / "walk.glb"]
    for file in files:
        export_skinned(file, takes.people_of(takes.build_take(take)), PRESETS["unity"], ExportOptions())
    points = np.array([world_points(take, 0, row) for row in ROWS])
    view = view_of(points)
    expected = blender_pictures(take, 0, ROWS, view)
    corners = load_body().faces.ravel()
    for shown in page_pictures(files, [row / FPS for row in ROWS], view):
        for n in range(len(ROWS)):
            assert np.abs(shown.corners[n] - points[n][corners]).max() < MILLIMETRE
            right = difference(shown.pictures[n], expected[n])
            assert right < 8
            # as far off as these it would be with sides swapped, upside down, at another time or without texture
            wrong = [expected[n][:, ::-1], expected[n][::-1], expected[n - 1],
                     np.where((expected[n] == 0x80).all(2, keepdims=True), expected[n], 0xa0)]
            assert min(difference(shown.pictures[n], other) for other in wrong) > 3 * right
