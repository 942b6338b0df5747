"""The export panel and its operators, as a user meets them."""
from __future__ import annotations

import bpy
import pytest
from walking_take import make_take

import pose2mesh_blender
from pose2mesh_blender.core.conventions import CONVENTIONS
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.scene import rig, takes
from pose2mesh_blender.ui import export_panel


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture
def person(tmp_path) -> bpy.types.Object:
    take = make_take(tmp_path / "take", 4)
    return takes.people_of(takes.build_take(take))[0]


def settings():
    return bpy.context.scene.pose2mesh_export


def test_what_is_chosen_is_written(tmp_path, person):
    settings().preset, settings().format = "godot", ".glb"
    assert bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "walk")) == {"FINISHED"}
    assert (tmp_path / "walk.glb").stat().st_size > 100_000
    settings().preset = "vat"
    assert settings().format == ".glb"  # the first of the new preset's list
    assert bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "vat.glb")) == {"FINISHED"}
    assert (tmp_path / "vat_positions.exr").is_file()
    settings().preset, settings().use_range, settings().first, settings().last = "unity", True, 90, 99
    with pytest.raises(RuntimeError, match="no frame"):
        bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "none.fbx"))


def test_a_preset_says_whether_people_share_a_file_and_the_user_may_say_otherwise(tmp_path):
    for ob in takes.people_of(takes.build_take(make_take(tmp_path / "take", 3, people=2))):
        ob.select_set(True)
    for preset, suffix in (("exact", ".fbx"), ("unity", ".glb")):
        settings().preset, settings().format = preset, suffix
        assert settings().together == (preset == "exact")
        for together in (True, False):
            settings().together = together
            folder = tmp_path / f"{preset} {together}"
            assert bpy.ops.pose2mesh.export_people(filepath=str(folder / f"x{suffix}")) == {"FINISHED"}
            assert sorted(p.name for p in folder.iterdir()) == (
                [f"x{suffix}"] if together else [f"x_01{suffix}", f"x_02{suffix}"])


def test_bake_to_armature_can_be_undone_and_leaves_the_person(person):
    settings().preset = "mixamo"
    assert bpy.ops.pose2mesh.bake_rig() == {"FINISHED"}
    armature, = (ob for ob in bpy.data.objects if rig.is_rig(ob))
    assert armature.name == f"{person.name} Rig" and len(armature.children) == 1
    assert takes.is_person(person)
    assert set(armature.users_collection) == set(person.users_collection)


def test_transfer_fills_the_bones_in_and_lets_them_be_changed(person):
    assert not bpy.ops.pose2mesh.transfer_rig.poll()
    theirs = rig.bake(person, PRESETS["unreal"], ExportOptions(), rig.frames_of(1, 4, ExportOptions()))
    settings().armature = theirs
    bones = {pair.name: pair.bone for pair in settings().bones}
    assert len(bones) == 24 and bones["left_elbow"] == "lowerarm_l" and bones["pelvis"] == "pelvis"
    before = theirs.animation_data.action
    assert bpy.ops.pose2mesh.transfer_rig() == {"FINISHED"}
    assert theirs.animation_data.action != before
    settings().bones["head"].bone = "antenna"
    with pytest.raises(RuntimeError, match="no bone antenna"):
        bpy.ops.pose2mesh.transfer_rig()


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_panels_draw_without_changing_anything(person, preset):
    """Every property and operator that a panel names is there."""
    settings().preset = preset
    settings().armature = rig.bake(person, PRESETS["unity"], ExportOptions(), rig.frames_of(1, 2, ExportOptions()))
    drawn: list[tuple[str, str]] = []

    class Layout:
        def __getattr__(self, name):
            def call(*args, **_):
                if name in ("prop", "prop_search"):
                    assert hasattr(args[0], args[1]), args
                    drawn.append((name, args[1]))
                if name == "operator":
                    module, operator = args[0].split(".")
                    assert hasattr(getattr(bpy.ops, module), operator)
                    drawn.append((name, args[0]))
                return Layout()
            return call

        def __setattr__(self, name, value):
            pass

    for cls in export_panel.CLASSES:
        cls.draw(type("Panel", (), {"layout": Layout()})(), bpy.context)
    assert ("operator", "pose2mesh.export_people") in drawn
    assert drawn.count(("prop_search", "bone")) == len(CONVENTIONS["smpl"].bones)
    assert (("prop", "in_place") in drawn) == (PRESETS[preset].kind == "skinned")
