"""Skinned characters play in other programs as the mesh does here: ufbx, three.js, USD, the glTF validator, Blender."""
from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from fbx_readers import read_three, read_ufbx, validate_glb, y_up
from walking_take import FPS, make_take, world_vertices

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.conventions import convention
from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.skinned import export_skinned

ROWS = (0, 7, 11)
TIMES = [row / FPS for row in ROWS]
MILLIMETRE = 1e-3
SKINNED = [name for name, preset in PRESETS.items() if preset.kind == "skinned"]
# A mesh skinned from an A-pose cannot be quite the one that was skinned from a T-pose.
TOLERANCE = {"T": MILLIMETRE, "A": 6 * MILLIMETRE}


@pytest.fixture
def take(tmp_path):
    bpy.context.scene.frame_start = 7
    return make_take(tmp_path / "take", 12, first=6)


@pytest.fixture
def person(take):
    return takes.people_of(takes.build_take(take))


@pytest.mark.parametrize("name", SKINNED)
def test_ufbx_sees_the_same_motion(tmp_path, take, person, name):
    path = tmp_path / f"{name}.fbx"
    export_skinned(path, person, PRESETS[name], ExportOptions())
    facts, (seen,) = read_ufbx(path, TIMES)
    for positions, row in zip(seen, ROWS):
        gap = np.abs(positions * facts["unit"] - y_up(world_vertices(take, 0, row)))
        assert gap.max() < TOLERANCE[PRESETS[name].pose]
    mesh, = facts["meshes"]
    assert (mesh["points"], mesh["triangles"], mesh["uv_sets"], mesh["unskinned"]) == (6890, 13776, 1, 0)
    assert mesh["influences"] <= 4
    assert set(facts["bones"]) == convention(PRESETS[name].names).every_bone
    assert (facts["unit"], facts["up"], facts["fps"]) == (0.01, "POSITIVE_Y", FPS)
    assert facts["start"] == [0.0]
    assert facts["keys"] == [12]
    assert np.allclose(facts["end"], 11 / FPS, atol=1e-6)
    assert facts["stacks"] == [name]
    assert facts["finite"]
    assert min(facts["textures"]) > 1000
    for node, fact in facts["nodes"].items():
        assert np.allclose(fact["scale"], 1, atol=1e-5), node
        assert node in facts["bones"] or fact["turned"] < 0.01, node


@pytest.mark.parametrize(("name", "suffix"), [("unity", ".fbx"), ("unreal", ".fbx"), ("godot", ".glb"),
                                              ("blender", ".glb")])
def test_three_sees_the_same_motion(tmp_path, take, person, three, name, suffix):
    path = tmp_path / f"{name}{suffix}"
    export_skinned(path, person, PRESETS[name], ExportOptions())
    facts, (seen,) = read_three(*three, path, TIMES)
    unit, corners = 0.01 if suffix == ".fbx" else 1.0, load_body().faces.ravel()
    for positions, row in zip(seen, ROWS):
        gap = np.abs(positions * unit - y_up(world_vertices(take, 0, row))[corners])
        assert gap.max() < TOLERANCE[PRESETS[name].pose]
    mesh, = facts["meshes"]
    assert mesh["skinned"] and mesh["uv"] and facts["images"]
    clip, = facts["clips"]
    assert (clip["name"], clip["first"], clip["finite"]) == (name, 0, True)
    assert clip["flip"] > 0.9
    assert np.allclose(np.diff(clip["times"]), 1 / FPS, atol=1e-5) and len(clip["times"]) == 12
    if suffix == ".glb":
        issues = validate_glb(*three, path)
        assert issues["numErrors"] == 0, issues["messages"]


@pytest.mark.parametrize("suffix", [".fbx", ".glb", ".usdc"])
def test_blender_reads_it_back(tmp_path, take, person, suffix):
    path = tmp_path / f"walk{suffix}"
    export_skinned(path, person, PRESETS["godot"], ExportOptions())
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.fps = int(FPS)
    if suffix == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    elif suffix == ".glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
    armature = next(ob for ob in scene.objects if ob.type == "ARMATURE")
    mesh = next(ob for ob in scene.objects if ob.type == "MESH" and len(ob.data.vertices) > 6000)
    assert convention("godot").every_bone <= {b.name.split("/")[-1] for b in armature.data.bones}
    expected = load_body().faces
    for row in ROWS:
        scene.frame_set(row)
        shown = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        co = np.empty(3 * len(shown.data.vertices), np.float32)
        shown.data.vertices.foreach_get("co", co)
        place = np.array(shown.matrix_world)
        points = co.reshape(-1, 3) @ place[:3, :3].T + place[:3, 3]
        loops = np.empty(len(shown.data.loops), np.int32)
        shown.data.loops.foreach_get("vertex_index", loops)
        gap = np.abs(points[loops] - world_vertices(take, 0, row)[expected.ravel()])
        assert gap.max() < MILLIMETRE


def test_in_place_keeps_the_pose_and_stays(tmp_path, take, person):
    path = tmp_path / "still.fbx"
    export_skinned(path, person, PRESETS["unity"], ExportOptions(in_place=True))
    _, (seen,) = read_ufbx(path, TIMES)
    for positions, row in zip(seen, ROWS):
        world = y_up(world_vertices(take, 0, row))
        shift = world - 0.01 * positions
        assert np.ptp(shift, axis=0).max() < MILLIMETRE
        assert abs(shift[:, 1].mean()) < MILLIMETRE  # it still rises and sinks
    assert abs(0.01 * (seen[0] - seen[2]).mean(0)[[0, 2]]).max() < 0.05


def test_range_step_and_simplification(tmp_path, take, person):
    path = tmp_path / "part.fbx"
    export_skinned(path, person, PRESETS["unity"], ExportOptions(first=9, last=15, step=2))
    facts, (seen,) = read_ufbx(path, [2 / (FPS / 2)])
    assert facts["fps"] == FPS / 2
    assert facts["keys"] == [4]
    assert np.abs(0.01 * seen[0] - y_up(world_vertices(take, 0, 6))).max() < MILLIMETRE
    export_skinned(path, person, PRESETS["unity"], ExportOptions(simplify=40.0))
    facts, (seen,) = read_ufbx(path, [3 / FPS])
    assert facts["keys"][0] < 12
    assert np.abs(0.01 * seen[0] - y_up(world_vertices(take, 0, 3))).max() < 42 * MILLIMETRE
    with pytest.raises(ExportError, match="no frame"):
        export_skinned(path, person, PRESETS["unity"], ExportOptions(first=50, last=60))


def test_correctives_bring_what_bones_cannot(tmp_path, take, person, three):
    """The shape keys were retouched by hand: a belly that no bone moves."""
    blocks = person[0].data.shape_keys.key_blocks
    rest = load_body().v_template
    belly = np.exp(-np.square(np.linalg.norm(rest - [0, 0.0, 0.1], axis=1) / 0.15))
    push = (0.08 * belly[:, None] * [0.0, -1.0, 0]).astype(np.float32)
    expected = {}
    for row in range(12):
        block = blocks[row + 1]
        co = np.empty(3 * 6890, np.float32)
        block.points.foreach_get("co", co)
        moved = co.reshape(-1, 3) + push * (row % 3)
        block.points.foreach_set("co", moved.ravel())
        expected[row] = world_vertices(take, 0, row) + push * (row % 3)
    plain, = export_skinned(tmp_path / "plain.fbx", person, PRESETS["unity"], ExportOptions())
    helped, = export_skinned(tmp_path / "helped.fbx", person, PRESETS["unity"], ExportOptions(correctives=0.3))
    assert plain.distances.mean.max() > 2
    assert helped.distances.mean.mean() < 0.3
    facts, (seen,) = read_ufbx(tmp_path / "helped.fbx", TIMES)
    assert facts["meshes"][0]["shapes"] == len(helped.shapes.shapes) > 0
    for positions, row in zip(seen, ROWS):
        assert np.linalg.norm(0.01 * positions - y_up(expected[row]), axis=1).mean() < MILLIMETRE
    export_skinned(tmp_path / "helped.glb", person, PRESETS["unity"], ExportOptions(correctives=0.3))
    _, (seen,) = read_three(*three, tmp_path / "helped.glb", TIMES)
    corners = load_body().faces.ravel()
    for positions, row in zip(seen, ROWS):
        assert np.linalg.norm(positions - y_up(expected[row])[corners], axis=1).mean() < MILLIMETRE


def test_bvh_plays_elsewhere(tmp_path, take, person, three):
    path = tmp_path / "walk.bvh"
    fitted, = export_skinned(path, person, PRESETS["unity"], ExportOptions())
    bpy.ops.import_anim.bvh(filepath=str(path), global_scale=0.01, axis_forward="-Z", axis_up="Y", use_fps_scale=False)
    armature = next(ob for ob in bpy.context.scene.objects if ob.type == "ARMATURE")
    facts, _ = read_three(*three, path, TIMES)
    assert facts["clips"][0]["finite"]
    for time, row in enumerate(ROWS):
        bpy.context.scene.frame_set(row + 1)
        places = fitted.rig.places[row]
        for joint, name in enumerate(convention("unity").bones):
            head = np.array(armature.matrix_world @ armature.pose.bones[name].head)
            assert np.abs(y_up(head) - places[joint]).max() < MILLIMETRE
            assert np.abs(0.01 * np.array(facts["joints"][name][time]) - places[joint]).max() < MILLIMETRE


def test_several_people_in_one_file(tmp_path):
    take = make_take(tmp_path / "take", 6, people=2)
    people = takes.people_of(takes.build_take(take))
    export_skinned(tmp_path / "both.fbx", people, PRESETS["unity"], ExportOptions())
    facts, seen = read_ufbx(tmp_path / "both.fbx", [3 / FPS])
    assert len(facts["meshes"]) == 2
    for person in range(2):
        assert np.abs(0.01 * seen[person][0] - y_up(world_vertices(take, person, 3))).max() < MILLIMETRE
    with pytest.raises(ExportError, match="one person"):
        export_skinned(tmp_path / "both.bvh", people, PRESETS["unity"], ExportOptions())
    with pytest.raises(ExportError, match="cannot be written"):
        export_skinned(Path(tmp_path / "both.abc"), people, PRESETS["unity"], ExportOptions())


def test_the_users_file_is_as_before(tmp_path, person):
    def state():
        return {p.identifier: sorted(i.name for i in getattr(bpy.data, p.identifier))
                for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}

    bpy.context.scene.frame_set(9)
    person[0].select_set(True)
    bpy.context.view_layer.objects.active = person[0]
    before = state()
    for suffix in (".fbx", ".glb", ".usdc", ".bvh"):
        export_skinned(tmp_path / f"x{suffix}", person, PRESETS["unreal"], ExportOptions())
        assert state() == before
    assert bpy.context.view_layer.objects.active == person[0] and person[0].select_get()
    assert bpy.context.scene.frame_current == 9
