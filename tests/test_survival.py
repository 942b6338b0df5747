"""What happens to a .blend: saved, reloaded, moved, its footage moved, opened without the add-on."""
from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from test_scene_takes import shown
from walking_take import make_take

import pose2mesh_blender
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import corrected, ground, refresh, storage, takes, tracks
from pose2mesh_blender.ui import handlers
from pose2mesh_blender.ui.person_properties import person


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture
def built(tmp_path, demo_clip):
    clip = Path(shutil.copy(demo_clip, tmp_path / "shot.mp4"))
    with make_take(tmp_path / "take", 8, people=2, footage=clip) as take:
        collection = takes.build_take(take)
        refresh.note(collection, take)
    return collection


def reopen(path: Path) -> bpy.types.Collection:
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return takes.takes_in(bpy.context.scene)[0]


def test_everything_is_there_after_reloading(built, tmp_path):
    first = takes.people_of(built)[0]
    person(first).title = "Ann"
    person(first).height = 160
    person(first).show = False
    built.pose2mesh.offset = 0.25
    bpy.context.scene.pose2mesh.preset = "fast"
    before = shown(first, 4)
    again = reopen(tmp_path / "file.blend")
    ann = takes.people_of(again)[0]
    assert ann.name == "Ann"
    assert person(ann).height == pytest.approx(160, abs=0.1)
    assert not person(ann).show
    assert again.pose2mesh.offset == pytest.approx(0.25)
    assert bpy.context.scene.pose2mesh.preset == "fast"
    assert np.abs(shown(ann, 4) - before).max() < 1e-5
    person(ann).height = 170
    with Take.open(again[takes.TAKE]) as take:
        corrected.update(again, ann, take)
    again.pose2mesh.offset = 0.0
    assert shown(ann, 4)[:, 2].min() < shown(ann, 4)[:, 2].max()
    assert {t.name for t in tracks.tracked_in(takes.clip_of(again))} == {"Ann", "Person 2"}


def test_blend_and_footage_that_moved(built, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    before = shown(takes.people_of(built)[1], 5)
    (tmp_path / "elsewhere").mkdir()
    for name in ("file.blend", "shot.mp4"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "elsewhere" / "file.blend"))
    collection, = takes.takes_in(bpy.context.scene)
    ob = takes.people_of(collection)[1]
    assert np.abs(shown(ob, 5) - before).max() < 1e-5, "the mesh needs no footage"
    clip = takes.clip_of(collection)
    clip.filepath = str(tmp_path / "elsewhere" / "shot.mp4")  # relinked, as Blender's Find Missing Files does
    assert len(tracks.tracked_in(clip)) == 2
    with Take.open(collection[takes.TAKE]) as take:
        corrected.update(collection, ob, take)
        refresh.refresh(collection, take)
    assert np.abs(shown(ob, 5) - before).max() < 1e-5


WITHOUT = """
import sys, json, bpy
import numpy as np
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert not [n for n in sys.modules if "pose2mesh" in n]
assert not hasattr(bpy.types.Scene, "pose2mesh")
out = {}
for name in json.loads(sys.argv[2]):
    bpy.context.scene.frame_set(5)
    ob = bpy.data.objects[name].evaluated_get(bpy.context.evaluated_depsgraph_get())
    co = np.empty(3 * len(ob.data.vertices), np.float32)
    ob.data.vertices.foreach_get("co", co)
    m = np.array(ob.matrix_world)
    out[name] = (co.reshape(-1, 3) @ m[:3, :3].T + m[:3, 3])[::700].tolist()
print("RESULT" + json.dumps(out))
"""


@pytest.mark.parametrize("kind", [storage.ABSOLUTE, storage.COMPACT])
def test_it_plays_where_the_add_on_is_absent(built, tmp_path, kind):
    people = takes.people_of(built)
    storage.store(people, kind)
    ground.set_height(people[0], 1.5)
    expected = {ob.name: shown(ob, 5)[::700] for ob in people}
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    shutil.rmtree(tmp_path / "take")
    done = subprocess.run([sys.executable, "-I", "-c", WITHOUT, str(tmp_path / "file.blend"), json.dumps([*expected])],
                          capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "RESULT" in done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout[done.stdout.index("RESULT") + 6:].splitlines()[0])
    for name, positions in expected.items():
        assert np.abs(np.array(found[name]) - positions).max() < 1e-5


def test_add_on_switched_off_and_on_again(built):
    ob = takes.people_of(built)[0]
    person(ob).height = 150
    pose2mesh_blender.unregister()
    try:
        assert not hasattr(ob, "pose2mesh")
        assert np.isfinite(shown(ob, 3)).all()
    finally:
        pose2mesh_blender.register()
    assert person(ob).height == pytest.approx(150, abs=0.1)


def test_another_file_while_a_take_is_open(built, tmp_path):
    """Handlers that live on meet a file without takes, and the takes' folder gone."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    shutil.rmtree(tmp_path / "take")
    handlers.after_undo()
    assert not takes.takes_in(bpy.context.scene)
    assert bpy.context.scene.pose2mesh.person_index == -1
