"""Height, ground and a moving camera: people and camera move together, and everything can be taken back."""
from __future__ import annotations

import shutil

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from test_scene_takes import shown
from walking_take import make_take

from pose2mesh_blender.core.errors import TakeError
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import corrected, ground, placing, shape_keys, takes


@pytest.fixture
def built(tmp_path, demo_clip):
    clip = shutil.copy(demo_clip, tmp_path / "shot.mp4")
    return takes.build_take(make_take(tmp_path / "take", 8, people=2, footage=clip, fps=30.0))


def pixels(collection, ob, frame):
    """(V, 2) where the person is seen through the take's camera."""
    camera = takes.take_camera(collection)
    points = shown(ob, frame)[::300]
    scene = bpy.context.scene
    return np.array([world_to_camera_view(scene, camera.evaluated_get(bpy.context.evaluated_depsgraph_get()),
                                          Vector(p))[:2] for p in points])


def tall(ob, frame):
    return float(np.ptp(shown(ob, frame)[:, 2]))


def test_height_scales_body_path_and_camera_but_not_the_picture(built):
    first, second = takes.people_of(built)
    natural = ground.height_of(first)
    assert 1.5 < natural < 2.0
    before = [pixels(built, ob, 4) for ob in (first, second)], shown(first, 4), takes.take_camera(built).location.z
    ground.set_height(first, 2 * natural)
    assert ground.height_of(first) == pytest.approx(2 * natural)
    for ob, seen in zip((first, second), before[0]):
        assert np.abs(pixels(built, ob, 4) - seen).max() < 1e-4
    assert np.abs(shown(first, 4) - 2 * before[1]).max() < 1e-4
    assert takes.take_camera(built).location.z == pytest.approx(2 * before[2], rel=1e-5)
    ground.set_height(first, None)
    assert np.abs(shown(first, 4) - before[1]).max() < 1e-5


def test_a_height_that_was_given_stays(built):
    first, second = takes.people_of(built)
    ground.set_height(second, 1.6)
    ground.set_height(first, 1.9)
    assert ground.height_of(second) == pytest.approx(1.6)
    assert ground.height_of(first) == pytest.approx(1.9)


def test_height_survives_a_correction_and_a_change_of_storage(built):
    first = takes.people_of(built)[0]
    ground.set_height(first, 1.2)
    before = shown(first, 5)
    with Take.open(built[takes.TAKE]) as take:
        corrected.update(built, first, take)
    assert np.abs(shown(first, 5) - before).max() < 1e-5
    shape_keys.to_relative(first)
    ground.set_height(first, 2.4)
    assert tall(first, 5) == pytest.approx(2 * np.ptp(before[:, 2]), rel=1e-3)


def test_ground_moves_everything_and_comes_back(built):
    first, second = takes.people_of(built)
    before, seen = [shown(ob, 3) for ob in (first, second)], pixels(built, first, 3)
    ground.set_ground(built, 0.5, (0.0, 0.0, 0.0))
    assert np.abs(shown(second, 3) - before[1] - [0, 0, 0.5]).max() < 1e-5
    ground.set_ground(built, 0.5, (np.pi / 2, 0.0, 0.0))  # z up becomes -y up
    assert np.ptp(shown(first, 3)[:, 1]) == pytest.approx(np.ptp(before[0][:, 2]), rel=1e-3)
    assert np.abs(pixels(built, first, 3) - seen).max() < 1e-4
    with Take.open(built[takes.TAKE]) as take:
        there = shown(first, 3)
        corrected.update(built, first, take)
    assert np.abs(shown(first, 3) - there).max() < 1e-5
    ground.set_ground(built, 0.0, (0.0, 0.0, 0.0))
    assert np.abs(shown(first, 3) - before[0]).max() < 1e-5


def test_align_to_floor(built):
    first = takes.people_of(built)[0]
    before = shown(first, 2)
    bpy.ops.mesh.primitive_plane_add(location=(3, 1, 2), rotation=(0, 0, 0.5), size=9)
    floor = bpy.context.object
    floor.scale = (3, 3, 3)
    bpy.context.view_layer.update()
    ground.align(built, floor)
    turned = before @ np.array(floor.rotation_euler.to_matrix()).T + [3, 1, 2]
    assert np.abs(shown(first, 2) - turned).max() < 1e-4
    assert tuple(floor.location) == (3, 1, 2), "what is the user's does not move"
    ground.set_ground(built, 0.25, (0.0, 0.0, 0.0))
    assert np.abs(shown(first, 2) - turned - [0, 0, 0.25]).max() < 1e-4
    ground.align(built, None)
    assert np.abs(shown(first, 2) - before - [0, 0, 0.25]).max() < 1e-4


def test_without_the_take_the_ground_still_moves(built):
    first = takes.people_of(built)[0]
    before = shown(first, 3)
    shutil.rmtree(built[takes.TAKE])
    ground.set_ground(built, 1.0, (0.0, 0.0, 0.0))
    ground.set_height(first, 1.5)
    ground.set_height(first, None)
    assert np.abs(shown(first, 3) - before - [0, 0, 1]).max() < 1e-4


def test_thinned_curves_and_missing_ones_follow(built):
    from pose2mesh_blender.scene import compat

    first = takes.people_of(built)[0]
    curve = compat.find_curve(first, "location", 2)
    while len(curve.keyframe_points) > 2:
        curve.keyframe_points.remove(curve.keyframe_points[1])
    before = shown(first, 1)
    ground.set_ground(built, 0.0, (0.3, 0.0, 0.0))
    ground.set_ground(built, 0.0, (0.0, 0.0, 0.0))
    assert np.abs(shown(first, 1) - before).max() < 1e-4
    compat.remove_action(first)
    ground.set_ground(built, 1.0, (0.0, 0.0, 0.0))
    assert np.abs(shown(first, 1)[:, 2] - before[:, 2] - 1).max() < 1e-4


@pytest.fixture
def tracked(built):
    """A path that Blender's own solver found, from tracks of points that a moving camera saw."""
    clip = takes.clip_of(built)
    tracking = clip.tracking
    tracking.camera.focal_length_pixels = 700
    rng = np.random.default_rng(1)
    world = rng.uniform([-2, -1, 4], [2, 3, 8], (60, 3))
    world[:, 1] *= -1
    places = np.array([[0.05 * f, 0.01 * f, 0.02 * f] for f in range(40)])
    size = np.array(clip.size)
    for point in world:
        rel = point - places
        uv = 700 * rel[:, :2] / rel[:, 2:] / size + 0.5
        track = tracking.objects[0].tracks.new(name="p", frame=1)
        for frame, co in enumerate(uv, 1):
            track.markers.insert_frame(frame, co=tuple(co))
    tracking.settings.use_keyframe_selection = False
    tracking.objects[0].keyframe_a, tracking.objects[0].keyframe_b = 1, 40
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    kind = area.type
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.clip.solve_camera()
    area.type = kind
    assert placing.has_reconstruction(clip), "Blender solved nothing"
    return built


def test_solved_camera_takes_people_along(tracked):
    first = takes.people_of(tracked)[0]
    scene = bpy.context.scene
    scene.frame_start = 1
    before, seen = shown(first, 6), [pixels(tracked, first, f) for f in (2, 6)]
    ground.use_solved_camera(tracked, True)
    camera = takes.take_camera(tracked)
    scene.frame_set(2)
    at = np.array(camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
    scene.frame_set(6)
    later = np.array(camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
    assert np.abs(at - later).max() > 1e-3, "the camera moves"
    for frame, pixel in zip((2, 6), seen):
        assert np.abs(pixels(tracked, first, frame) - pixel).max() < 1e-3, "seen where they were"
    ground.set_ground(tracked, 0.7, (0.2, 0.0, 0.0))
    assert np.abs(pixels(tracked, first, 6) - seen[1]).max() < 1e-3
    ground.set_ground(tracked, 0.0, (0.0, 0.0, 0.0))
    ground.use_solved_camera(tracked, False)
    assert np.abs(shown(first, 6) - before).max() < 1e-5
    assert not camera.constraints


def test_without_a_reconstruction_it_says_what_to_do(built):
    with pytest.raises(TakeError, match="Solve Camera Motion"):
        ground.use_solved_camera(built, True)
