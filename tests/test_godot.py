"""The character in a real engine: Godot 4's own import, its Skeleton3D, its animation and its skinning."""
from __future__ import annotations

import bpy
import numpy as np
import pytest
from page_pictures import blender_pictures, difference, import_in_godot, view_of, world_points
from walking_take import FPS, make_take

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.conventions import convention
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.skinned import export_skinned

ROWS = [0, 11, 22]
MILLIMETRE = 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".glb", ".fbx"])
def test_godot_imports_the_character(tmp_path, browser, suffix):
    bpy.context.scene.render.fps = int(FPS)
    take = make_take(tmp_path / "take", 30)
    path = tmp_path / f"walk{suffix}"
    export_skinned(path, takes.people_of(takes.build_take(take)), PRESETS["godot"], ExportOptions())
    points = np.array([world_points(take, 0, row) for row in ROWS])
    view = view_of(points)
    facts, shown = import_in_godot(path, [row / FPS for row in ROWS], FPS, view)
    names = convention("godot")
    assert facts["version"].startswith("4.")
    assert {bone["name"] for bone in facts["bones"]} == {names.root, *names.bones}
    # SkeletonProfileHumanoid knows every bone, hangs it on the same one, and at rest turns it much as we do: the
    # profile is a doll with straight limbs, a person is not
    for bone in facts["bones"]:
        assert bone["profile_parent"] == bone["parent"]
        assert 0 <= bone["turned"] < 25, bone
    assert (facts["meshes"], facts["textured"], facts["animations"]) == (1, True, ["walk"])
    assert facts["length"] == pytest.approx(29 / FPS, abs=1e-4)
    assert max(facts["keys"]) == 30
    corners = load_body().faces.ravel()
    expected = blender_pictures(take, 0, ROWS, view)
    for n in range(len(ROWS)):
        assert np.abs(shown.corners[n] - points[n][corners]).max() < MILLIMETRE
        right = difference(shown.pictures[n], expected[n])
        assert min(difference(shown.pictures[n], other) for other in (
            expected[n][:, ::-1], expected[n][::-1], expected[n - 1])) > 3 * right
