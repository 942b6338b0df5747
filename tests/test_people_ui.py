"""People in the panel: merge, split, delete, switch off, rename, smooth; undo; a take that another process holds."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from solved_people import SMOOTH, solved_people
from test_scene_takes import shown

import pose2mesh_blender
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import refresh, storage, takes, tracks
from pose2mesh_blender.ui import jobs, smoothing
from pose2mesh_blender.ui.person_properties import person


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture(scope="module")
def solved(tmp_path_factory, demo_clip) -> Path:
    folder = tmp_path_factory.mktemp("people")
    clip = Path(shutil.copy(demo_clip, folder / "shot.mp4"))
    solved_people(folder / "take", load_network("cpu"), clip)
    return folder / "take"


@pytest.fixture
def built(solved, tmp_path):
    jobs.last_message = ("", "")
    shutil.copytree(solved, tmp_path / "take")
    with Take.open(tmp_path / "take") as take:
        collection = takes.build_take(take)
        refresh.note(collection, take)
        smoothing.set_sliders(collection, take)
    bpy.ops.ed.undo_push(message="built")
    return collection


def people(collection):
    """By id; undo replaces objects."""
    return {int(ob[takes.PERSON]): ob for ob in takes.people_of(bpy.data.collections[collection])}


def seated(collection) -> list[int]:
    with Take.open(bpy.data.collections[collection][takes.TAKE]) as take:
        return take.people


def select(*obs):
    bpy.context.view_layer.update()  # objects that a script has removed are still listed, as freed memory
    for ob in filter(None, bpy.context.view_layer.objects):
        ob.select_set(ob in obs)
    bpy.context.view_layer.objects.active = obs[0]


def tracked(name) -> set[int]:
    clip = takes.clip_of(bpy.data.collections[name])
    return {t.person for t in tracks.tracked_in(clip)}


def test_merge_and_undo(built):
    name, here = built.name, people(built.name)
    here[1].name, here[1].color = "Bob", (1, 0, 0, 1)
    ann = shown(here[0], 5)
    select(here[1], here[2])
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.pose2mesh.person_merge("EXEC_DEFAULT", True, other="2") == {"FINISHED"}
    now = people(name)
    made, = set(now) - {0}
    assert seated(name) == [0, made]
    assert now[made].name == "Bob"
    assert tuple(now[made].color) == (1, 0, 0, 1)
    assert len(now[made].data.shape_keys.key_blocks) == 1 + 24
    assert tracked(name) == {0, made}
    assert np.array_equal(shown(now[0], 5), ann)
    assert not bpy.data.objects.get("Bob (merged)")
    bpy.ops.ed.undo()
    assert set(people(name)) == {0, 1, 2}
    assert tracked(name) == {0, 1, 2}
    assert seated(name) == [0, 1, 2]
    bpy.ops.ed.redo()
    assert set(people(name)) == {0, made}
    assert seated(name) == [0, made]


def test_split_at_the_current_frame(built):
    name, scene = built.name, bpy.context.scene
    ob = people(name)[0]
    select(ob)
    with Take.open(built[takes.TAKE]) as take:
        frames = takes.timing_in(built, take).frames
    before = shown(ob, frames[3])
    scene.frame_set(int(frames[9]))
    assert bpy.ops.pose2mesh.person_split() == {"FINISHED"}
    now = people(name)
    first, second = sorted(set(now) - {1, 2})
    assert len(now[first].data.shape_keys.key_blocks) == 1 + 9
    assert len(now[second].data.shape_keys.key_blocks) == 1 + 15
    assert np.abs(shown(now[first], frames[3]) - before).mean() < 0.1
    scene.frame_set(scene.frame_start)
    select(now[first])
    with pytest.raises(RuntimeError, match="both sides"):
        bpy.ops.pose2mesh.person_split()


def test_delete_and_undo(built):
    name = built.name
    select(people(name)[2])
    actions, meshes = len(bpy.data.actions), len(bpy.data.meshes)
    assert bpy.ops.pose2mesh.person_delete("EXEC_DEFAULT", True) == {"FINISHED"}
    assert set(people(name)) == {0, 1} == set(seated(name)) == tracked(name)
    assert (len(bpy.data.actions), len(bpy.data.meshes)) == (actions - 2, meshes - 1)
    bpy.ops.ed.undo()
    assert set(people(name)) == {0, 1, 2} == set(seated(name))
    for left in (2, 1, 0):
        select(people(name)[left])
        if left:
            assert bpy.ops.pose2mesh.person_delete() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="at least one person"):
        bpy.ops.pose2mesh.person_delete()


def test_switched_off_people_are_not_solved(built):
    here = people(built.name)
    assert person(here[1]).solve
    person(here[1]).solve = False
    assert not person(here[1]).solve
    assert seated(built.name) == [0, 2]
    assert 1 in people(built.name), "the mesh stays"
    bpy.context.scene.pose2mesh.smooth = 0.9
    assert bpy.ops.pose2mesh.solve_again() == {"FINISHED"}
    with Take.open(built[takes.TAKE]) as take:
        assert take.info["solve"]["smooth"] == pytest.approx(0.9)
    before = shown(here[1], 4)
    person(here[1]).solve = True  # it is out of date and solved first
    assert jobs.last_message[0] != "ERROR"
    assert seated(built.name) == [0, 1, 2]
    assert not np.array_equal(shown(people(built.name)[1], 4), before)


def test_rename_everywhere(built):
    ob = people(built.name)[1]
    person(ob).title = "Zoë"
    assert (ob.name, ob.data.name, person(ob).title) == ("Zoë",) * 3
    clip = takes.clip_of(built)
    assert tracks.find(clip, built[takes.TAKE], 1).name == "Zoë"
    with Take.open(built[takes.TAKE]) as take:
        assert take.name(1) == "Zoë"
    person(ob).title = " "
    assert ob.name == "Zoë"


def test_show_and_height(built):
    ob = people(built.name)[0]
    person(ob).show = False
    assert ob.hide_get()
    person(ob).show = True
    assert person(ob).show
    natural = person(ob).height
    assert 140 < natural < 210
    person(ob).height = 150
    assert person(ob).height == pytest.approx(150, abs=0.1)
    select(ob)
    assert bpy.ops.pose2mesh.height_reset() == {"FINISHED"}
    assert person(ob).height == pytest.approx(natural, abs=0.01)


@pytest.mark.parametrize("kind", [storage.ABSOLUTE, storage.COMPACT])
def test_smoothing_slider(built, kind):
    name = built.name
    here = people(name)
    assert person(here[0]).smooth == pytest.approx(SMOOTH)
    storage.store(list(here.values()), kind)
    bpy.ops.ed.undo_push(message="before")
    first, other = shown(here[0], 6), shown(here[1], 6)
    person(here[0]).smooth = 1.0
    assert jobs.last_message[0] != "ERROR", jobs.last_message
    with Take.open(built[takes.TAKE]) as take:
        assert take.info["smoothing"] == {"0": 1.0}
    assert np.abs(shown(here[0], 6) - first).max() > 1e-3
    assert np.array_equal(shown(here[1], 6), other)
    assert storage.storage_of(here[0]) == kind
    bpy.ops.ed.undo_push(message="smoother")
    bpy.ops.ed.undo()
    here = people(name)
    assert person(here[0]).smooth == pytest.approx(SMOOTH)
    with Take.open(bpy.data.collections[name][takes.TAKE]) as take:
        assert take.info["smoothing"]["0"] == pytest.approx(SMOOTH), "the take follows the undo"
    assert np.abs(shown(here[0], 6) - first).max() < 0.02


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from pose2mesh_blender.core.take import Take
with Take.open(Path(sys.argv[1]), write=True):
    print("held", flush=True)
    time.sleep(120)
"""


def test_another_blender_holds_the_take(built, root):
    name = built.name
    held = subprocess.Popen([sys.executable, "-c", HOLDER, built[takes.TAKE], str(root)], stdout=subprocess.PIPE)
    try:
        assert held.stdout.readline().strip() == b"held"
        select(people(name)[2])
        with pytest.raises(RuntimeError, match="written by another process"):
            bpy.ops.pose2mesh.person_delete()
        assert set(people(name)) == {0, 1, 2}
        person(people(name)[0]).smooth = 0.8
        assert "another process" in jobs.last_message[1]
        person(people(name)[1]).solve = False
        assert person(people(name)[1]).solve
        select(people(name)[1], people(name)[2])
        with pytest.raises(RuntimeError, match="another process"):
            bpy.ops.pose2mesh.person_merge(other="2")
    finally:
        held.kill()
        held.wait()
    assert bpy.ops.pose2mesh.person_merge(other="2") == {"FINISHED"}


def test_the_takes_folder_is_gone(built):
    name = built.name
    shutil.rmtree(built[takes.TAKE])
    before = shown(people(name)[0], 3)
    select(people(name)[0])
    for run in (bpy.ops.pose2mesh.person_delete, bpy.ops.pose2mesh.person_split, bpy.ops.pose2mesh.solve_again):
        with pytest.raises(RuntimeError, match="not a take"):
            run()
    person(people(name)[0]).smooth = 0.9
    assert "not a take" in jobs.last_message[1]
    bpy.ops.ed.undo_push(message="x")
    bpy.ops.ed.undo()
    assert np.array_equal(shown(people(name)[0], 3), before), "it still plays"


def test_objects_and_clip_deleted_by_hand(built):
    name = built.name
    bpy.data.movieclips.remove(takes.clip_of(built))
    bpy.data.objects.remove(people(name)[1])
    bpy.data.objects.remove(takes.take_camera(built))
    select(people(name)[0])
    person(people(name)[0]).height = 150
    person(people(name)[0]).smooth = 0.6
    built.pose2mesh.offset = 0.5
    assert bpy.ops.pose2mesh.solve_again() == {"FINISHED"}
    assert jobs.last_message[0] != "ERROR", jobs.last_message
    bpy.data.collections.remove(built)
    assert not bpy.ops.pose2mesh.solve_again.poll()


def test_unlocked_shape_and_undo(built):
    name = built.name
    here = people(name)
    before, folder = shown(here[0], 20), built[takes.TAKE]
    assert person(here[0]).lock_shape
    bpy.ops.ed.undo_push(message="locked")
    person(here[0]).lock_shape = False
    assert jobs.last_message[0] != "ERROR"
    with Take.open(folder) as take:
        assert take.info["free_shapes"] == {"0": True} and take.shapes(0).ndim == 2 and take.shapes(1).ndim == 1
    assert not np.array_equal(shown(people(name)[0], 20), before)
    bpy.ops.ed.undo_push(message="free")
    bpy.ops.ed.undo()
    assert person(people(name)[0]).lock_shape
    with Take.open(folder) as take:
        assert take.info["free_shapes"] == {"0": False} and take.shapes(0).ndim == 1
    np.testing.assert_allclose(shown(people(name)[0], 20), before, atol=1e-2)  # alone, with a floor of one's own


def test_bake_to_either_cache_and_undo(built, tmp_path):
    name, here = built.name, people(built.name)
    select(here[0])
    names = {ob.name for ob in bpy.data.objects}
    for kind, suffix in (("PC2", ".pc2"), ("ALEMBIC", ".abc")):
        bpy.ops.ed.undo_push(message="before")
        assert bpy.ops.pose2mesh.bake_cache("EXEC_DEFAULT", True, filepath=str(tmp_path / "c" / "walk"),
                                            format=kind) == {"FINISHED"}
        made, = {ob.name for ob in bpy.data.objects} - names
        assert (tmp_path / "c" / f"walk{suffix}").stat().st_size > 6890 * 12 * 20
        assert np.abs(shown(bpy.data.objects[made], 9) - shown(people(name)[0], 9)).max() < 1e-5
        bpy.ops.ed.undo()
        assert {ob.name for ob in bpy.data.objects} == names


def test_mark_as_asset_and_use_it_in_another_file(built, tmp_path):
    name, ob = built.name, people(built.name)[0]
    select(ob)
    title, before = ob.name, shown(ob, 9)
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.pose2mesh.mark_asset("EXEC_DEFAULT", True) == {"FINISHED"}
    ob = people(name)[0]
    marked = [ob, ob.active_material, ob.animation_data.action, ob.data.shape_keys.animation_data.action]
    assert all(block.asset_data and "Pose2Mesh" in block.asset_data.tags for block in marked)
    assert not people(name)[1].asset_data
    with pytest.raises(RuntimeError, match="Already assets"):
        bpy.ops.pose2mesh.mark_asset()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), assets_only=True) as (there, wanted):
        assert there.objects == [title] and len(there.actions) == 2 and len(there.materials) == 1
        wanted.objects = [title]
    bpy.context.scene.collection.objects.link(wanted.objects[0])
    assert np.abs(shown(wanted.objects[0], 9) - before).max() < 1e-6
