"""A person's motion on other armatures: baked beside the mesh, and transferred to one that somebody else made."""
from __future__ import annotations

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from walking_take import make_take, world_vertices

from pose2mesh_blender.core.conventions import CONVENTIONS
from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.core.presets import PRESETS, ExportOptions
from pose2mesh_blender.core.retarget import guess_bones
from pose2mesh_blender.core.skeletons import SMPL24
from pose2mesh_blender.scene import rig, takes
from pose2mesh_blender.scene.retarget import bones_of, transfer

FRAMES = np.arange(1, 13)
LIMBS = (("left_hip", "left_knee"), ("right_hip", "right_knee"), ("left_knee", "left_ankle"),
         ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"), ("left_elbow", "left_wrist"))


@pytest.fixture
def take(tmp_path):
    return make_take(tmp_path / "take", 12)


@pytest.fixture
def person(take):
    return takes.people_of(takes.build_take(take))[0]


def heads(armature: bpy.types.Object, bones: dict[str, str]) -> dict[str, np.ndarray]:
    shown = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {joint: np.array(shown.matrix_world @ shown.pose.bones[bone].head) for joint, bone in bones.items()}


def unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


def test_a_baked_armature_deforms_its_mesh_like_the_shape_keys(take, person):
    keys = len(person.data.shape_keys.key_blocks)
    armature = rig.bake(person, PRESETS["mixamo"], ExportOptions(), FRAMES)
    mesh, = armature.children
    assert rig.is_rig(armature) and armature[rig.ERROR] < 1
    assert len(person.data.shape_keys.key_blocks) == keys and takes.is_person(person) and not takes.is_person(mesh)
    assert mesh.active_material == person.active_material
    assert {g.name for g in mesh.vertex_groups} == set(CONVENTIONS["mixamo"].bones)
    for row in (0, 6, 11):
        bpy.context.scene.frame_set(row + 1)
        shown = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        points = np.array([shown.matrix_world @ v.co for v in shown.data.vertices])
        assert np.abs(points - world_vertices(take, 0, row)).max() < 1e-3


def metarig() -> bpy.types.Object:
    """Rigify's human, as Blender's users start with it: another size, other proportions, arms hanging."""
    import addon_utils

    addon_utils.enable("rigify")  # once: it does not come back after another file was read
    from rigify.metarigs import human

    ob = bpy.data.objects.new("theirs", bpy.data.armatures.new("theirs"))
    bpy.context.scene.collection.objects.link(ob)
    bpy.context.view_layer.objects.active = ob
    human.create(ob)
    bpy.ops.object.mode_set(mode="OBJECT")
    return ob


def test_somebody_elses_armature_moves_alike(person):
    theirs = metarig()
    bones = bones_of(theirs)
    assert bones["left_hip"] == "thigh.L" and bones["pelvis"] == "spine" and bones["head"] == "spine.006"
    ours = rig.bake(person, PRESETS["smpl"], ExportOptions(), FRAMES)
    transfer(person, theirs, bones, FRAMES)
    compare(ours, theirs, bones)
    # turned, moved and scaled, as imported characters come
    theirs.matrix_world = Matrix.Translation((2, 1, 0)) @ Matrix.Rotation(0.7, 4, "Z") @ Matrix.Scale(0.5, 4)
    bpy.context.view_layer.update()
    transfer(person, theirs, bones, FRAMES)
    compare(ours, theirs, bones)


def compare(ours: bpy.types.Object, theirs: bpy.types.Object, bones: dict[str, str]) -> None:
    """Limbs point alike, the path goes the same way and starts at the same place."""
    named = dict(zip(SMPL24, CONVENTIONS["smpl"].bones))
    steps = []
    for frame in (1, 5, 12):
        bpy.context.scene.frame_set(frame)
        a, b = heads(ours, named), heads(theirs, bones)
        for start, end in LIMBS:
            assert unit(a[end] - a[start]) @ unit(b[end] - b[start]) > 0.999, (start, frame)
        steps.append((a["pelvis"], b["pelvis"]))
    (a0, b0), (a1, b1) = steps[0], steps[-1]
    ratio = np.linalg.norm((b1 - b0)[:2]) / np.linalg.norm((a1 - a0)[:2])
    assert unit((a1 - a0)[:2]) @ unit((b1 - b0)[:2]) > 0.999
    assert 0.3 < ratio < 1.3
    assert np.abs((a0 - b0)[:2]).max() < 0.02  # it starts where the person does


def test_an_action_that_was_there_is_kept_and_wrong_bones_are_refused(person):
    theirs = rig.bake(person, PRESETS["mixamo"], ExportOptions(), FRAMES)
    theirs.keyframe_insert("location", frame=1)
    old = theirs.animation_data.action
    bones = bones_of(theirs)
    with pytest.raises(ExportError, match="no bone nose"):
        transfer(person, theirs, {**bones, "head": "nose"}, FRAMES)
    with pytest.raises(ExportError, match="left hip"):
        transfer(person, theirs, {k: v for k, v in bones.items() if k != "left_hip"}, FRAMES)
    assert theirs.animation_data.action == old
    transfer(person, theirs, bones, FRAMES)
    assert theirs.animation_data.action != old and old.use_fake_user


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_bones_are_known_by_every_engines_names(name):
    names = CONVENTIONS[name].bones
    found = guess_bones(["root", *names, "some_other"])
    assert found == dict(zip(SMPL24, names))
    assert guess_bones(["a", "b", "head"]) == {}
