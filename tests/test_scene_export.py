"""GLB, USD, Alembic and .blend come back as they went out; exports leave the user's file alone and never half-write."""
from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import bpy
import numpy as np
import pytest
from scipy.spatial import cKDTree
from walking_take import FPS, make_take, world_vertices

from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.bench import bench_shape_keys
from pose2mesh_blender.scene.export import WRITERS, export, save_blend
from pose2mesh_blender.scene.fresh import fresh_file

MILLIMETRE = 1e-3

pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # in Blender's FBX exporter


@pytest.fixture
def take(tmp_path):
    return make_take(tmp_path / "take", 8, people=2, first=3, absent=slice(0, 2))


@pytest.fixture
def people(take):
    return takes.people_of(takes.build_take(take))


def everything() -> dict:
    """Names of all data, and what of the scene a person would notice."""
    scene = bpy.context.scene
    state = {p.identifier: [i.name for i in getattr(bpy.data, p.identifier)]
             for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}
    state["scene"] = (scene.name, scene.frame_current, scene.frame_start, scene.frame_end, scene.render.fps,
                      scene.render.fps_base, scene.render.resolution_x)
    state["selected"] = [ob.name for ob in bpy.context.selected_objects]
    state["active"] = bpy.context.view_layer.objects.active
    state["keys"] = [(o.name, o.data.name, o.data.shape_keys.name, o.data.shape_keys.use_relative,
                      o.animation_data.action.name, o.data.shape_keys.animation_data.action.name)
                     for o in bpy.data.objects if takes.is_person(o)]
    return state


def imported_points(frame: int) -> list[np.ndarray]:
    """World positions of every mesh in the scene at `frame`, largest x last."""
    bpy.context.scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    found = []
    for ob in bpy.context.scene.objects:
        if ob.type == "MESH":
            ob = ob.evaluated_get(graph)
            co = np.empty(3 * len(ob.data.vertices), np.float32)
            ob.data.vertices.foreach_get("co", co)
            matrix = np.array(ob.matrix_world)
            found.append(co.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
    return sorted(found, key=lambda p: p[:, 0].mean())


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_the_users_file_is_as_before(tmp_path, people, suffix):
    bpy.context.scene.frame_set(5)
    people[1].select_set(True)
    before = everything()
    export(tmp_path / f"out{suffix}", people)
    assert everything() == before
    assert (tmp_path / f"out{suffix}").stat().st_size > 100_000


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_a_refused_file_leaves_nothing(tmp_path, people, suffix, monkeypatch):
    before = everything()
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="file"):
        export(tmp_path / "file" / f"out{suffix}", people)
    target = tmp_path / "old" / f"out{suffix}"
    target.parent.mkdir()
    target.write_text("old")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ExportError, match="no space left"):
        export(target, people)
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == [target.name]
    assert everything() == before


@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".blend"])
def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path, people, suffix):
    resource = pytest.importorskip("resource")  # POSIX
    target = tmp_path / "out" / f"x{suffix}"
    target.parent.mkdir()
    target.write_text("old")
    before = everything()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ExportError, match=rf"x{suffix}"):
            export(target, people)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "old"
    assert os.listdir(target.parent) == [target.name]
    assert everything() == before


def test_nothing_to_export(tmp_path):
    with pytest.raises(ExportError, match="no Pose2Mesh person"):
        export(tmp_path / "x.fbx", [])
    with pytest.raises(ExportError, match="unknown kind"):
        export(tmp_path / "x.obj", [])


def test_glb_says_where_the_mesh_is(tmp_path, take, people):
    """Read without Blender: base + weights x targets + translation, at the animation's own times."""
    path = tmp_path / "x.glb"
    export(path, people)
    data = path.read_bytes()
    length, = struct.unpack("<I", data[12:16])
    gltf, blob = json.loads(data[20:20 + length]), data[28 + length:]

    def accessor(index: int) -> np.ndarray:
        a = gltf["accessors"][index]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[a["type"]]
        if "bufferView" not in a:
            return np.zeros((a["count"], width), np.float32)
        view = gltf["bufferViews"][a["bufferView"]]
        start = view.get("byteOffset", 0) + a.get("byteOffset", 0)
        return np.frombuffer(blob, np.float32, a["count"] * width, start).reshape(a["count"], width)

    assert len(gltf["animations"]) == 1
    animation = gltf["animations"][0]
    for person, ob in enumerate(people):
        number, node = next((i, n) for i, n in enumerate(gltf["nodes"]) if n["name"] == ob.name)
        assert node.get("scale", [1, 1, 1]) == [1, 1, 1]
        primitive, = gltf["meshes"][node["mesh"]]["primitives"]
        assert "NORMAL" not in primitive["targets"][0]
        base = accessor(primitive["attributes"]["POSITION"])
        targets = [accessor(t["POSITION"]) for t in primitive["targets"]]
        curves = {c["target"]["path"]: animation["samplers"][c["sampler"]] for c in animation["channels"]
                  if c["target"]["node"] == number}
        times = accessor(curves["weights"]["input"])[:, 0]
        weights = accessor(curves["weights"]["output"]).reshape(len(times), -1)
        assert times[0] == 0
        assert abs(times[-1] - 7 / FPS) < 1e-5
        for row in (2, 5, 7):
            w = [np.interp(row / FPS, times, weights[:, k]) for k in range(len(targets))]
            at = accessor(curves["translation"]["input"])[:, 0]
            moved = accessor(curves["translation"]["output"])
            place = np.array([np.interp(row / FPS, at, moved[:, k]) for k in range(3)])
            seen = base + sum(a * t for a, t in zip(w, targets)) + place
            expected = world_vertices(take, person, row) @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])
            # vertices on UV seams are split, so compare the two clouds of points
            assert cKDTree(expected).query(seen)[0].max() < MILLIMETRE
            assert cKDTree(seen).query(expected)[0].max() < MILLIMETRE


@pytest.mark.parametrize("suffix, importer", [(".usdc", "usd_import"), (".abc", "alembic_import")])
def test_point_caches_come_back(tmp_path, take, people, suffix, importer):
    export(tmp_path / f"x{suffix}", people)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 30
    getattr(bpy.ops.wm, importer)(filepath=str(tmp_path / f"x{suffix}"))
    for row in (3, 6):
        found = imported_points(row)
        assert len(found) == 2
        for person, points in enumerate(found):
            assert np.abs(points - world_vertices(take, person, row)).max() < MILLIMETRE
    mesh = next(ob.data for ob in bpy.context.scene.objects if ob.type == "MESH")
    assert mesh.uv_layers


def test_blend_opens_and_plays(tmp_path, take, people):
    save_blend(tmp_path / "x.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "x.blend"))
    for row in (3, 6):
        for person, points in enumerate(imported_points(1 + row)):
            assert np.abs(points - world_vertices(take, person, row)).max() < 1e-5


def test_names_with_spaces_and_accents(tmp_path, people):
    path = tmp_path / "ein Ördner" / "tänzer 01.fbx"
    export(path, people)
    assert path.is_file()
    assert Path(path).parent.is_dir()


def test_fresh_file_of_a_command(tmp_path, take):
    """What `pose2mesh animate -o x.blend` leaves: the take through its camera, lit, nothing else."""
    fresh_file(take)
    save_blend(tmp_path / "out" / "x.blend")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "x.blend"))
    scene = bpy.context.scene
    assert scene.render.fps == FPS
    assert (scene.frame_start, scene.frame_end) == (1, 8)
    assert scene.camera.type == "CAMERA"
    assert sorted(ob.type for ob in scene.objects) == ["CAMERA", "LIGHT", "MESH", "MESH"]
    spaces = [a.spaces.active for s in bpy.data.screens for a in s.areas if a.type == "VIEW_3D"]
    assert spaces
    assert all(space.region_3d.view_perspective == "CAMERA" for space in spaces)


def test_shape_keys_are_written_and_played_fast_enough():
    """The promise for 1000 frames, with room for a busy machine."""
    report = bench_shape_keys(300)
    assert report["write_s"] < 0.5
    assert report["play_ms"] < 3
    assert not bpy.data.meshes
    assert len(bpy.data.scenes) == 1
