"""Textures, compact shape keys, USD and SMPL files: each read back by programs that are not Blender, and by Blender."""
from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from fbx_readers import read_three, read_ufbx, y_up
from walking_take import FPS, make_take, world_vertices

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.core.exr import write_exr
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.core.rig import rotation_of
from pose2mesh_blender.core.smpl_motion import smpl_motion, write_smpl
from pose2mesh_blender.core.terminal import Terminal
from pose2mesh_blender.job import ExportSettings, write_outputs
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.export_people import export_people, heavy

ROWS = (0, 7, 11)
TIMES = [row / FPS for row in ROWS]
MILLIMETRE = 1e-3

pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # in Blender's FBX exporter


@pytest.fixture
def take(tmp_path):
    return make_take(tmp_path / "take", 12)


@pytest.fixture
def person(take):
    return takes.people_of(takes.build_take(take))


def read_exr(path: Path) -> np.ndarray:
    """(H, W, 3) by the OpenEXR library."""
    openexr = pytest.importorskip("OpenEXR")
    with openexr.File(str(path)) as file:
        return np.array(file.channels()["RGB"].pixels)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_exr_is_read_elsewhere_and_in_blender(tmp_path, kind):
    pixels = np.random.default_rng(0).normal(0, 2, (37, 50, 3)).astype(kind)
    pixels[5:20] = 0.25  # compresses; noise does not
    write_exr(tmp_path / "x.exr", pixels)
    assert (read_exr(tmp_path / "x.exr") == pixels).all()
    image = bpy.data.images.load(str(tmp_path / "x.exr"))
    image.colorspace_settings.name = "Non-Color"
    seen = np.empty(37 * 50 * 4, np.float32)
    image.pixels.foreach_get(seen)
    assert np.array_equal(seen.reshape(37, 50, 4)[::-1, :, :3], pixels.astype(np.float32))


def glb_points(path: Path) -> dict[str, np.ndarray]:
    """POSITION, TEXCOORD_0, TEXCOORD_1 of the only mesh, read without any library."""
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    gltf, binary = json.loads(data[20:20 + length]), 28 + length
    out = {}
    for name, number in gltf["meshes"][0]["primitives"][0]["attributes"].items():
        accessor = gltf["accessors"][number]
        start = binary + gltf["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
        width = {"VEC2": 2, "VEC3": 3}[accessor["type"]]
        out[name] = np.frombuffer(data, "<f4", width * accessor["count"], start).reshape(-1, width)
    return out


def test_a_shader_that_reads_the_textures_shows_the_take(tmp_path, take, person):
    written, = export_people(tmp_path / "walk.glb", person, PRESETS["vat"], ExportOptions())
    about = json.loads((tmp_path / "walk_vat.json").read_text())
    assert {p.name for p in written.paths} == {"walk.glb", "walk_positions.exr", "walk_normals.exr", "walk_vat.json"}
    assert (about["frames"], about["vertices"], about["fps"], about["mesh"]) == (12, 6890, FPS, "walk.glb")
    positions, normals = read_exr(tmp_path / about["positions"]), read_exr(tmp_path / about["normals"])
    mesh = glb_points(tmp_path / "walk.glb")
    uv = mesh["TEXCOORD_1"].astype(float)
    column = np.floor(uv[:, 0] * about["vertices"]).astype(int)
    assert np.abs(mesh["POSITION"] - positions[0, column]).max() < 1e-5
    for row in ROWS:
        line = np.floor((uv[:, 1] + row / about["frames"]) * about["frames"]).astype(int)
        expected = y_up(world_vertices(take, 0, row))
        assert np.abs(positions[line, column] - expected[column]).max() < 1e-5
        assert np.allclose(np.linalg.norm(normals[line, column].astype(float), axis=1), 1, atol=2e-3)
    ahead = normals[0, 411].astype(float) @ (positions[0, 411] - positions[0].mean(0))
    assert ahead > 0  # the crown's normal points out of the head
    image = bpy.data.images.load(str(tmp_path / about["positions"]))
    assert tuple(image.size) == (6890, 12)


def test_vat_as_fbx_and_one_set_per_person(tmp_path):
    take = make_take(tmp_path / "take", 4, people=2)
    people = takes.people_of(takes.build_take(take))
    written = export_people(tmp_path / "pair.fbx", people, PRESETS["vat"], ExportOptions())
    assert [w.paths[0].name for w in written] == ["pair_01.fbx", "pair_02.fbx"]
    facts, (seen,) = read_ufbx(tmp_path / "pair_02.fbx", [0.0])
    assert facts["meshes"][0]["uv_sets"] == 2
    assert np.abs(seen[0] * facts["unit"] - y_up(world_vertices(take, 1, 0))).max() < MILLIMETRE


def test_compact_keys_stay_within_their_budget(tmp_path, take, person, three):
    sizes = {}
    for budget in (0.5, 8.0):
        path = tmp_path / f"c{budget}.fbx"
        written, = export_people(path, person, PRESETS["compact"], ExportOptions(budget=budget, largest=0))
        assert "mm" in written.text
        facts, (seen,) = read_ufbx(path, TIMES)
        sizes[budget] = facts["meshes"][0]["shapes"]
        gaps = [np.linalg.norm(p * facts["unit"] - y_up(world_vertices(take, 0, r)), axis=1).mean()
                for p, r in zip(seen, ROWS)]
        assert np.mean(gaps) < (budget + 0.5) * MILLIMETRE
        assert facts["finite"] and facts["start"] == [0.0]
    assert 0 < sizes[8.0] < sizes[0.5] < 12
    bounded, = export_people(tmp_path / "b.fbx", person, PRESETS["compact"], ExportOptions(budget=8.0, largest=2.0))
    facts, (seen,) = read_ufbx(tmp_path / "b.fbx", [row / FPS for row in range(12)])
    assert f"{facts['meshes'][0]['shapes']} shapes, off by mean" in bounded.text and "largest" in bounded.text
    for row, positions in enumerate(seen):
        gap = np.linalg.norm(positions * facts["unit"] - y_up(world_vertices(take, 0, row)), axis=1)
        assert gap.max() < 2.1 * MILLIMETRE
    tight, = export_people(tmp_path / "c.glb", person, PRESETS["compact"], ExportOptions(budget=0.5, largest=1e-6))
    assert "more than the 0.5 mm on average and 1e-06 mm at most that were asked for" in tight.text
    _, (seen,) = read_three(*three, tmp_path / "c.glb", TIMES)
    for positions, row in zip(seen, ROWS):
        expected = y_up(world_vertices(take, 0, row))[load_body().faces.ravel()]
        assert np.linalg.norm(positions - expected, axis=1).mean() < MILLIMETRE


USD = """
import sys, numpy as np
from pxr import Usd, UsdGeom, UsdSkel
stage = Usd.Stage.Open(sys.argv[1])
mesh = UsdGeom.Mesh(next(p for p in stage.Traverse() if p.IsA(UsdGeom.Mesh)))
cache = UsdSkel.Cache()
root = next((p for p in stage.Traverse() if p.IsA(UsdSkel.Root)), None)
root = root and UsdSkel.Root(root)
out = []
if root:
    cache.Populate(root, Usd.TraverseInstanceProxies())
for frame in map(float, sys.argv[3:]):
    points = mesh.GetPointsAttr().Get(frame)
    if root:
        skel = cache.GetSkelQuery(UsdSkel.BindingAPI(mesh.GetPrim()).GetInheritedSkeleton())
        skinning = cache.GetSkinningQuery(mesh.GetPrim())
        skinning.ComputeSkinnedPoints(skel.ComputeSkinningTransforms(frame), points, frame)
        to_world = UsdGeom.XformCache(frame).GetLocalToWorldTransform(skel.GetPrim())
    else:
        to_world = UsdGeom.XformCache(frame).GetLocalToWorldTransform(mesh.GetPrim())
    out.append([to_world.Transform(p) for p in points])
np.save(sys.argv[2], np.array(out, np.float32))
print(stage.GetTimeCodesPerSecond(), UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage))
"""


@pytest.mark.parametrize("preset", ["exact", "godot"])
def test_usd_plays_in_pixars_library(tmp_path, take, person, preset):
    """In a process of its own: Blender brings another USD."""
    path = tmp_path / "walk.usdc"
    export_people(path, person, PRESETS[preset], ExportOptions())
    run = subprocess.run([sys.executable, "-c", USD, str(path), str(tmp_path / "out.npy"), *map(str, ROWS)],
                         capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    fps, unit, up = run.stdout.split()[-3:]
    assert (float(fps), float(unit), up) == (FPS, 1.0, "Z")
    for points, row in zip(np.load(tmp_path / "out.npy"), ROWS):
        assert np.abs(points - world_vertices(take, 0, row)).max() < MILLIMETRE


def test_smpl_file_poses_a_body(tmp_path, take):
    """Posed by hand from nothing but the file and the body."""
    body = load_body()
    write_smpl(take, tmp_path / "walk.npz", body)
    with np.load(tmp_path / "walk.npz", allow_pickle=False) as file:
        data = dict(file)
    assert set(data) == {"poses", "trans", "mocap_framerate", "gender", "frames", "joints"}
    assert data["poses"].shape == (12, 72) and data["mocap_framerate"] == FPS
    rotations = rotation_of(data["poses"].reshape(12, 24, 3).astype(float))
    for joint in range(1, 24):
        rotations[:, joint] = rotations[:, body.parents[joint]] @ rotations[:, joint]
    vertices, joints = body.pose(rotations.astype(np.float32), np.zeros((12, 16), np.float32))
    shift = data["trans"] + data["joints"][0] - joints[:, 0]
    for row in ROWS:
        gap = vertices[row] + shift[row] - y_up(world_vertices(take, 0, row))
        assert np.linalg.norm(gap, axis=1).max() < MILLIMETRE


def test_smpl_file_has_betas_of_a_foreign_body(tmp_path):
    from dataclasses import replace

    body = replace(load_body())  # equal, but a body of the user's own
    take = make_take(tmp_path / "take", 6)
    data = smpl_motion(take, 0, body)
    assert data["betas"].shape == (16,) and np.abs(data["betas"]).max() < 0.1
    assert data["scale"] == pytest.approx(1, abs=0.005)
    _, joints = body.rest(np.zeros(16))
    place = take.translation(0) + take.joints(0)[:, 0]
    world = take.world_from_camera
    pelvis = y_up(place @ world[:3, :3].T + world[:3, 3])
    assert np.abs(data["trans"] + joints[0] - pelvis).max() < 0.005


@pytest.mark.parametrize(("name", "suffix"), [
    ("exact", ".fbx"), ("exact", ".usdc"), ("exact", ".abc"), ("compact", ".glb"), ("unity", ".glb"), ("vat", ".glb"),
    ("smpl", ".bvh")])
def test_several_people_are_one_file_each_or_all_in_one(tmp_path, name, suffix):
    people = takes.people_of(takes.build_take(make_take(tmp_path / "take", 3, people=2)))
    preset, path = PRESETS[name], tmp_path / f"shot{suffix}"
    apart = export_people(path, people, preset, ExportOptions(), together=False)
    assert [one.paths[0].name for one in apart] == [f"shot_01{suffix}", f"shot_02{suffix}"]
    assert all(one.paths[0].stat().st_size > 1000 for one in apart) and not path.exists()
    both = export_people(path, people, preset, ExportOptions(), together=True)
    assert path.exists() == preset.shares(suffix) == (len(both) == 1)
    chosen = export_people(path, people, preset, ExportOptions())
    assert len(chosen) == (1 if name == "exact" else 2)


def test_what_a_preset_cannot_write_is_refused(tmp_path, person):
    with pytest.raises(ExportError, match=r"does not write \.abc"):
        export_people(tmp_path / "x.abc", person, PRESETS["unity"], ExportOptions())
    with pytest.raises(ExportError, match="every frame"):
        export_people(tmp_path / "x.fbx", person, PRESETS["exact"], ExportOptions(step=2))
    assert heavy(".fbx", person, PRESETS["exact"]) == 0
    assert heavy(".fbx", person * 30, PRESETS["exact"]) > 50e6
    assert heavy(".fbx", person * 30, PRESETS["unity"]) == 0


def test_the_shell_says_what_it_wrote_and_refuses_early(tmp_path):
    take = make_take(tmp_path / "take", 4, people=2)
    said = write_outputs(take, [tmp_path / "a.fbx", tmp_path / "a.bvh", tmp_path / "a.npz"], load_body(),
                         Terminal(quiet=True), ExportSettings("smpl"))
    for name in ("a_01.fbx", "a_02.fbx", "a_01.bvh", "a_02.bvh", "a_01.npz", "a_02.npz"):
        assert (tmp_path / name).is_file()
        assert any(name in line and "MB" in line for line in said)
    assert any("skeleton off by" in line for line in said)
    write_outputs(take, [tmp_path / "b.fbx"], load_body(), Terminal(quiet=True), ExportSettings(together=True))
    assert len(read_ufbx(tmp_path / "b.fbx", [])[0]["meshes"]) == 2
    write_outputs(take, [tmp_path / "c.fbx"], load_body(), Terminal(quiet=True), ExportSettings("exact"))
    assert len(read_ufbx(tmp_path / "c.fbx", [])[0]["meshes"]) == 2
    with pytest.raises(ExportError, match=r"does not write \.abc"):
        ExportSettings("unity").check([tmp_path / "x.abc"])
    ExportSettings().check([tmp_path / "x.abc", tmp_path / "x.fbx", tmp_path / "x.npz"])
