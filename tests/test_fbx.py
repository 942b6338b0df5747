"""FBX files play outside Blender as they do in it: read back with ufbx and with three.js."""
from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from fbx_readers import read_three, read_ufbx, y_up
from walking_take import FPS, make_take, world_vertices

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.scene import compat, takes
from pose2mesh_blender.scene.export import export_fbx

ROWS = (0, 7, 11)
TIMES = [row / FPS for row in ROWS]
MILLIMETRE = 1e-3

pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # in Blender's FBX exporter


def texture(folder: Path) -> Path:
    """A small image on the disk."""
    image = bpy.data.images.new("checker", 16, 16)
    image.generated_type, image.filepath_raw, image.file_format = "UV_GRID", str(folder / "checker.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return folder / "checker.png"


@pytest.fixture
def exported(tmp_path):
    """A take that starts at footage frame 6 and scene frame 7 with two people, as FBX."""
    bpy.context.scene.frame_start = 7
    take = make_take(tmp_path / "take", 12, people=2, first=6)
    collection = takes.build_take(take, texture=texture(tmp_path))
    path = tmp_path / "walk.fbx"
    export_fbx(path, takes.people_of(collection))
    return take, path


def test_ufbx_sees_the_same_motion(exported):
    take, path = exported
    facts, seen = read_ufbx(path, TIMES)
    assert [m["name"] for m in facts["meshes"]] == ["take Take 001 Person 01", "take Take 001 Person 02"]
    for person, mesh in enumerate(facts["meshes"]):
        assert (mesh["shapes"], mesh["triangles"], mesh["uv_sets"]) == (12, 13776, 1)
        assert np.allclose(mesh["scale"], 1, atol=1e-6)
        assert mesh["turned"] < 0.01
        for positions, row in zip(seen[person], ROWS):
            assert np.abs(positions * facts["unit"] - y_up(world_vertices(take, person, row))).max() < MILLIMETRE


def test_ufbx_sees_rate_start_axes_and_texture(exported):
    facts, _ = read_ufbx(exported[1], [])
    assert facts["fps"] == FPS
    assert facts["start"] == [0.0]
    assert np.allclose(facts["end"], 11 / FPS, atol=1e-6)
    assert facts["keys"] == [12]
    assert facts["up"] == "POSITIVE_Y"
    assert facts["unit"] == 1.0
    assert facts["stacks"] == ["walk"]
    assert min(facts["textures"]) > 100


def test_three_sees_the_same_motion(exported, three):
    take, path = exported
    facts, seen = read_three(*three, path, TIMES)
    corners = load_body().faces.ravel()
    assert len(seen) == 2
    for person, mesh in enumerate(facts["meshes"]):
        assert mesh["shapes"] == 12
        assert np.allclose(mesh["scale"], 1, atol=1e-6)
        for positions, row in zip(seen[person], ROWS):
            assert np.abs(positions - y_up(world_vertices(take, person, row))[corners]).max() < MILLIMETRE
    assert all(m["uv"] and m["map"] for m in facts["meshes"])
    assert facts["images"]
    clip, = facts["clips"]
    assert clip["first"] == 0
    assert abs(clip["duration"] - 11 / FPS) < 1e-5
    assert np.allclose(np.diff(clip["times"]), 1 / FPS, atol=1e-5)


@pytest.mark.parametrize("fps", [24.0, 12.5, 30000 / 1001, 60.0, 100.0])
def test_frame_rates(tmp_path, fps):
    take = make_take(tmp_path / "take", 4, fps=fps)
    export_fbx(tmp_path / "x.fbx", takes.people_of(takes.build_take(take)))
    facts, seen = read_ufbx(tmp_path / "x.fbx", [2 / fps])
    assert abs(facts["fps"] - fps) < 1e-3
    assert facts["keys"] == [4]
    assert np.allclose(facts["end"], 3 / fps, atol=1e-6)
    assert np.abs(seen[0][0] - y_up(world_vertices(take, 0, 2))).max() < MILLIMETRE


def test_uneven_times(tmp_path):
    """Keys between whole frames, as footage of a variable rate has them: each whole frame is what the scene shows."""
    take = make_take(tmp_path / "take", 6)
    ob, = takes.people_of(takes.build_take(take))
    for owner in (ob, ob.data.shape_keys):
        compat.shift_curves(owner, 0.4)
    frames = [2, 3, 5]
    expected = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        shown = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
        expected.append(np.array([shown.matrix_world @ v.co for v in shown.data.vertices]))
    export_fbx(tmp_path / "x.fbx", [ob])
    facts, (seen,) = read_ufbx(tmp_path / "x.fbx", [(frame - 1) / FPS for frame in frames])
    assert facts["start"] == [0.0]
    for positions, points in zip(seen, expected):
        assert np.abs(positions - y_up(points)).max() < MILLIMETRE


def test_moved_turned_and_parented_person_exports_where_it_is(tmp_path):
    """What the user did to the object afterwards is in the file: it stands on a turned, moving platform."""
    take = make_take(tmp_path / "take", 5)
    ob, = takes.people_of(takes.build_take(take))
    platform = bpy.data.objects.new("platform", None)
    bpy.context.scene.collection.objects.link(platform)
    platform.rotation_euler.z = 0.5
    for frame, x in ((1, 0.0), (5, 1.0)):
        platform.location.x = x
        platform.keyframe_insert("location", frame=frame)
    ob.parent = platform
    bpy.context.scene.frame_set(4)
    evaluated = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
    expected = np.array([evaluated.matrix_world @ v.co for v in evaluated.data.vertices])
    export_fbx(tmp_path / "x.fbx", [ob])
    assert bpy.context.scene.frame_current == 4
    assert ob.parent == platform
    _, ((positions,),) = read_ufbx(tmp_path / "x.fbx", [3 / FPS])
    assert np.abs(positions - y_up(expected)).max() < MILLIMETRE
