"""Skinned characters in assimp, which many engines and viewers import with: bones, rate, curves, posed vertices."""
from __future__ import annotations

import bpy
import numpy as np
import pytest
from fbx_readers import read_assimp, y_up
from walking_take import FPS, make_take, world_vertices

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.conventions import convention
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.skinned import export_skinned

ROWS = (0, 7, 11)
TIMES = [row / FPS for row in ROWS]
TOLERANCE = {"T": 1e-3, "A": 6e-3}  # metres; a mesh skinned from an A-pose cannot be quite that of a T-pose


@pytest.mark.parametrize(("name", "suffix"), [("unity", ".fbx"), ("unreal", ".fbx"), ("godot", ".glb"),
                                              ("mixamo", ".glb")])
def test_assimp_sees_the_same_motion(tmp_path, three, name, suffix):
    take = make_take(tmp_path / "take", 12)
    path = tmp_path / f"walk{suffix}"
    bpy.context.scene.frame_start = 7
    export_skinned(path, takes.people_of(takes.build_take(take)), PRESETS[name], ExportOptions())
    facts, (seen,) = read_assimp(*three, path, TIMES)
    unit, corners = 0.01 if suffix == ".fbx" else 1.0, load_body().faces.ravel()
    for positions, row in zip(seen, ROWS):
        gap = np.abs(unit * positions - y_up(world_vertices(take, 0, row))[corners])
        assert gap.max() < TOLERANCE[PRESETS[name].pose]
    names = convention(PRESETS[name].names)
    mesh, = facts["meshes"]
    assert set(names.bones) <= set(mesh["bones"]) <= names.every_bone <= set(facts["nodes"])
    assert mesh["uv"] and facts["textures"] == 1
    assert 1 <= mesh["influences"][0] <= mesh["influences"][1] <= 4
    clip, = facts["clips"]
    assert clip["name"] == "walk"
    assert {names.root, *names.bones} <= set(clip["channels"])
    assert clip["ticks"] == (FPS if suffix == ".fbx" else 1000)
    assert np.allclose(clip["times"], np.arange(12) / FPS, atol=1e-5)
    assert clip["finite"] and clip["flip"] > 0.9
    assert np.allclose(clip["scale"], 1, atol=1e-5)
