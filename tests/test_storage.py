"""Three storages and a cache: the same people move the same way in each."""
from __future__ import annotations

import shutil

import bpy
import numpy as np
import pytest
from test_scene_takes import shown
from walking_take import make_take

from pose2mesh_blender.core.errors import ExportError, TakeError
from pose2mesh_blender.scene import compact, compat, ground, shape_keys, storage, takes

FRAMES = (1, 4, 7, 12, 20)


@pytest.fixture
def people(tmp_path):
    return takes.people_of(takes.build_take(make_take(tmp_path / "take", 20, people=2, absent=slice(5, 8))))


def positions(ob):
    return np.stack([shown(ob, f) for f in FRAMES])


def test_compact_is_small_and_says_how_far_off_it_is(people):
    ob = people[0]
    before = positions(ob)
    storage.store(people, storage.COMPACT, 4)
    assert storage.storage_of(ob) == storage.COMPACT
    assert len(ob.data.shape_keys.key_blocks) == 5
    off = 1000 * np.linalg.norm(positions(ob) - before, axis=2).max()
    assert 0.01 < off <= compact.error_of(ob) + 0.01
    assert all(-1e-4 <= c.keyframe_points[0].co.y <= 1.0001 for c in compat.curves(ob.data.shape_keys))
    storage.store(people, storage.ABSOLUTE)
    storage.store(people, storage.COMPACT, 64)
    assert compact.error_of(ob) < 0.05
    assert np.abs(positions(ob) - before).max() < 1e-4


@pytest.mark.parametrize("last", [storage.ABSOLUTE, storage.RELATIVE])
def test_exact_again_from_the_take(people, last):
    before = [positions(ob) for ob in people]
    curve = compat.find_curve(people[0].data.shape_keys, "eval_time")
    curve.keyframe_points[-1].co.x = 26  # retimed by hand
    curve.update()
    retimed = positions(people[0])
    actions = len(bpy.data.actions)
    storage.store(people, storage.COMPACT, 3)
    storage.store(people, last)
    assert [storage.storage_of(ob) for ob in people] == [last] * 2
    assert np.abs(positions(people[0]) - retimed).max() < 1e-4
    assert np.abs(positions(people[1]) - before[1]).max() < 1e-5
    assert len(bpy.data.actions) == actions
    assert not compact.is_compact(people[0])


def test_height_and_ground_hold_in_compact_keys(people):
    ob = people[0]
    storage.store([ob], storage.COMPACT)
    tall = np.ptp(shown(ob, 4)[:, 2])
    ground.set_height(ob, 2 * ground.height_of(ob))
    assert np.ptp(shown(ob, 4)[:, 2]) == pytest.approx(2 * tall, rel=1e-3)
    storage.store([ob], storage.ABSOLUTE)
    assert np.ptp(shown(ob, 4)[:, 2]) == pytest.approx(2 * tall, rel=1e-3)


def test_without_the_take_compact_stays_compact(people):
    storage.store(people, storage.COMPACT)
    shutil.rmtree(takes.collection_of(people[0])[takes.TAKE])
    before = positions(people[0])
    with pytest.raises(TakeError):
        storage.store(people, storage.ABSOLUTE)
    assert storage.storage_of(people[0]) == storage.COMPACT
    assert np.array_equal(positions(people[0]), before)


@pytest.mark.parametrize("suffix", [".pc2", ".abc"])
@pytest.mark.parametrize("kind", [storage.ABSOLUTE, storage.RELATIVE, storage.COMPACT])
def test_cache_plays_the_same(people, kind, suffix, tmp_path):
    ob = people[1]
    storage.store([ob], kind)
    blocks, objects, scenes = len(ob.data.shape_keys.key_blocks), len(bpy.data.objects), len(bpy.data.scenes)
    made = storage.bake(ob, tmp_path / "cache" / f"müller 人{suffix}")
    assert (len(bpy.data.objects), len(bpy.data.scenes)) == (objects + 1, scenes)
    assert not made.data.shape_keys
    assert not takes.is_person(made)
    for frame in (1, 3, 12, 20):
        assert np.abs(shown(made, frame) - shown(ob, frame)).max() < 1e-5
    assert len(ob.data.shape_keys.key_blocks) == blocks
    assert made.name in takes.collection_of(ob).objects
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        storage.bake(ob, tmp_path / "file" / f"x{suffix}")


@pytest.mark.parametrize("suffix", [".pc2", ".abc"])
def test_cache_plays_after_the_folder_was_moved(people, suffix, tmp_path):
    """The .blend and its cache go to another place together, without the take."""
    ob = people[0]
    before = {frame: shown(ob, frame) for frame in (1, 7, 20)}
    (tmp_path / "here").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "here" / "shot.blend"))
    made = storage.bake(ob, tmp_path / "here" / "caches" / f"walk{suffix}").name
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    shutil.move(tmp_path / "here", tmp_path / "there")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "there" / "shot.blend"))
    for frame, points in before.items():
        assert np.abs(shown(bpy.data.objects[made], frame) - points).max() < 1e-5


def test_shapes_between_keys(people):
    ob = people[0]
    for kind in (storage.ABSOLUTE, storage.RELATIVE):
        storage.store(people, kind)
        for frame, shape in zip(FRAMES, shape_keys.shapes_at(ob, np.array(FRAMES))):
            place = [compat.find_curve(ob, "location", axis).evaluate(frame) for axis in range(3)]
            assert np.abs(shape + place - shown(ob, frame)).max() < 1e-4
