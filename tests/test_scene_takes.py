"""A take becomes Blender data: placed right, played right, and nothing of the user's is touched."""
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from walking_take import INTRINSICS, SIZE, make_take, world_vertices

from pose2mesh_blender.core.errors import TakeError
from pose2mesh_blender.core.footage import open_footage
from pose2mesh_blender.scene import compat, material, shape_keys, takes, tracks


def shown(ob: bpy.types.Object, frame: float) -> np.ndarray:
    """(V, 3) world positions of the evaluated mesh at a scene frame."""
    bpy.context.scene.frame_set(int(frame), subframe=frame - int(frame))
    ob = ob.evaluated_get(bpy.context.evaluated_depsgraph_get())
    co = np.empty(3 * len(ob.data.vertices), np.float32)
    ob.data.vertices.foreach_get("co", co)
    matrix = np.array(ob.matrix_world)
    return co.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]


def names() -> dict[str, list[str]]:
    return {p.identifier: sorted(i.name for i in getattr(bpy.data, p.identifier))
            for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}


def test_mesh_plays_where_the_person_is(tmp_path):
    take = make_take(tmp_path / "take", people=2, first=5)
    collection = takes.build_take(take)
    assert collection.name == "take Take 001"
    people = takes.people_of(collection)
    assert len(people) == 2
    for number, ob in enumerate(people):
        for row in (0, 4, 11):
            expected = world_vertices(take, number, row)
            assert np.abs(shown(ob, 1 + row) - expected).max() < 1e-5
    upright = shown(people[0], 1)
    assert upright[:, 2].max() - upright[:, 2].min() > 1.4
    assert upright[np.argmax(upright[:, 2]), 2] > upright[:, 2].mean()


def test_long_names_in_any_script_keep_their_numbers(tmp_path):
    """Blender cuts names at 63 bytes, and a letter may have four."""
    for number in (1, 2):
        collection = takes.build_take(make_take(tmp_path / str(number) / ("長い名前の動画" * 4), 2, people=2))
        assert collection.name.endswith(f" Take {number:03d}")
        assert [ob.name[-9:] for ob in takes.people_of(collection)] == ["Person 01", "Person 02"]


def test_mesh_has_uvs_smooth_faces_and_material(tmp_path):
    from pose2mesh_blender.core.body import load_body
    body = load_body()
    ob = takes.people_of(takes.build_take(make_take(tmp_path / "take", 3)))[0]
    mesh = ob.data
    assert (len(mesh.vertices), len(mesh.polygons)) == (6890, 13776)
    assert not mesh.validate()
    assert all(p.use_smooth for p in mesh.polygons)
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers.active.uv.foreach_get("vector", uv)
    assert np.array_equal(uv.reshape(-1, 3, 2), body.vt[body.ft])
    assert mesh.materials[0].node_tree
    assert tuple(ob.scale) == (1, 1, 1)
    assert tuple(ob.rotation_euler) == (0, 0, 0)


@pytest.mark.parametrize("resolution", [(1920, 1080), (1080, 1920), SIZE])
def test_camera_sees_each_vertex_at_its_pixel(tmp_path, resolution):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = resolution
    take = make_take(tmp_path / "take", 3)
    collection = takes.build_take(take)
    ob, camera = takes.people_of(collection)[0], takes.take_camera(collection)
    world = shown(ob, 2)[::500]
    point = take.vertices(0)[1, ::500] + take.translation(0)[1]
    pixels = point @ INTRINSICS.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    # the footage fills the render frame on one side and is centred on the other
    fit = min(resolution[0] / SIZE[0], resolution[1] / SIZE[1])
    for position, pixel in zip(world, pixels):
        view = world_to_camera_view(scene, camera, Vector(position))
        x = (view.x * resolution[0] - resolution[0] / 2) / fit + SIZE[0] / 2
        y = SIZE[1] / 2 - (view.y * resolution[1] - resolution[1] / 2) / fit
        assert abs(x - pixel[0]) < 0.01
        assert abs(y - pixel[1]) < 0.01


def test_footage_is_behind_the_mesh_and_in_step(tmp_path, demo_clip):
    bpy.context.scene.frame_start = 11
    collection = takes.build_take(make_take(tmp_path / "take", 3, footage=demo_clip))
    background = takes.take_camera(collection).data.background_images[0]
    assert background.source == "MOVIE_CLIP"
    assert background.clip.frame_start == 11
    assert takes.take_camera(collection).data.show_background_images
    assert collection.name == f"{demo_clip.stem} Take 001"
    again = takes.build_take(make_take(tmp_path / "again", 3, footage=demo_clip))
    assert again.name == f"{demo_clip.stem} Take 002"
    assert takes.take_camera(again).data.background_images[0].clip == background.clip


TICKS = np.cumsum([0, 1, 1, 3, 3, 1, 5, 5, 2, 2, 2.6, 2.6, 1, 1, 1, 4.5, 4.5, 4, 5, 4.8])  # of 1/30 s


@pytest.fixture(params=["mp4", "mkv"])  # played at the average of 12.7 fps, and at the highest of 30
def uneven(tmp_path, request) -> Path:
    """A clip of variable frame rate: picture i is shown at TICKS[i] / 30 s."""
    path = tmp_path / f"uneven.{request.param}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height = SIZE
        stream.codec_context.time_base = Fraction(1, 30000)
        for number, tick in enumerate(TICKS):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE[::-1], 3), 10 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(1000 * tick), Fraction(1, 30000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_mesh_keeps_step_with_footage_of_variable_rate(tmp_path, uneven):
    footage = open_footage(uneven)
    take = make_take(tmp_path / "take", len(TICKS), footage=uneven, fps=footage.fps,
                     timestamps=np.array([frame.timestamp for frame in footage.frames()]))
    collection = takes.build_take(take, match_scene=True)
    clip = takes.take_camera(collection).data.background_images[0].clip
    places = 1 + TICKS / 30 * clip.fps  # Blender plays it by time
    assert np.abs(places - 1 - np.arange(len(TICKS))).max() > 2
    ob, = takes.people_of(collection)
    for row in range(len(TICKS)):
        assert np.abs(shown(ob, places[row]) - world_vertices(take, 0, row)).max() < 1e-2
    assert compat.key_frames(compat.find_curve(ob, "location"))[:, 0] == pytest.approx(places, abs=0.05)
    assert not [p for p in compat.find_curve(ob.data.shape_keys, "eval_time").keyframe_points
                if p.interpolation == "CONSTANT"], "a long wait for the next picture is no absence"
    scene = bpy.context.scene
    assert collection[takes.FPS] == ob[takes.FPS] == clip.fps
    assert abs(scene.render.fps / scene.render.fps_base - clip.fps) < 1e-3
    assert (clip.frame_start, scene.frame_start, scene.frame_end) == (1, 1, int(np.ceil(places[-1])))
    before = [shown(ob, frame) for frame in range(1, scene.frame_end + 1)]
    shape_keys.to_relative(ob)
    assert max(np.abs(a - shown(ob, f)).max() for f, a in enumerate(before, 1)) < 1e-5


def test_frames_that_were_not_reached_have_no_time_yet(tmp_path, uneven):
    footage = open_footage(uneven)
    stamps = np.arange(len(TICKS)) / footage.fps
    stamps[:12] = TICKS[:12] / 30
    take = make_take(tmp_path / "take", len(TICKS), footage=uneven, fps=footage.fps, timestamps=stamps)
    take._mark("detected", np.arange(12, len(TICKS)), 0)
    take._mark("solved", np.arange(12, len(TICKS)), 0)
    ob, = takes.people_of(takes.build_take(take))
    hidden = compat.key_frames(compat.find_curve(ob, "hide_render"))
    assert hidden[:, 1].tolist() == [0, 1]
    assert hidden[1, 0] > 1 + TICKS[11] / 30 * footage.fps


@pytest.mark.parametrize("step", [1, 3])
def test_later_first_frame_starts_with_the_scene_and_stays_there(tmp_path, demo_clip, step):
    scene = bpy.context.scene
    scene.frame_start = 11
    take = make_take(tmp_path / "take", 3, first=50, step=step, fps=60.0, footage=demo_clip)
    for _ in range(3):
        collection = takes.build_take(take, match_scene=True)
        assert (scene.frame_start, scene.frame_end) == (11, 11 + 2 * step)
        ob, = takes.people_of(collection)
        assert np.abs(shown(ob, 11 + step) - world_vertices(take, 0, 1)).max() < 1e-5
        clip = takes.take_camera(collection).data.background_images[0].clip
        assert clip.frame_start == 11 - 50, "the footage's picture 50 is behind the mesh"


def test_later_first_frame_of_footage_of_variable_rate(tmp_path, uneven):
    footage = open_footage(uneven)
    stamps = np.array([frame.timestamp for frame in footage.frames(6, 15)])
    take = make_take(tmp_path / "take", 10, first=6, footage=uneven, fps=footage.fps, timestamps=stamps)
    collection = takes.build_take(take, match_scene=True)
    clip = takes.take_camera(collection).data.background_images[0].clip
    ob, = takes.people_of(collection)
    keys = compat.key_frames(compat.find_curve(ob, "location"))[:, 0]
    assert keys == pytest.approx(clip.frame_start + stamps * clip.fps, abs=0.05)
    assert 0 < keys[0] <= 1 == bpy.context.scene.frame_start


def pictures(folder, numbers):
    """Images of even colour named by their numbers."""
    folder.mkdir()
    for number in numbers:
        image = bpy.data.images.new("x", *SIZE)
        image.filepath_raw, image.file_format = str(folder / f"shot_{number:04d}.png"), "PNG"
        image.save()
        bpy.data.images.remove(image)
    return folder


def test_image_sequence_is_behind_the_mesh(tmp_path):
    frames = pictures(tmp_path / "frames", range(17, 20))
    collection = takes.build_take(make_take(tmp_path / "take", 3, footage=frames))
    clip = takes.take_camera(collection).data.background_images[0].clip
    assert (clip.source, tuple(clip.size), clip.frame_duration, clip.frame_start) == ("SEQUENCE", SIZE, 3, 1)


def test_still_stays_behind_the_mesh(tmp_path):
    still = next(pictures(tmp_path / "frames", [7]).iterdir())
    collection = takes.build_take(make_take(tmp_path / "take", 1, footage=still))
    clip = takes.take_camera(collection).data.background_images[0].clip
    assert tuple(clip.size) == SIZE
    assert clip.frame_duration == 1
    assert takes.clip_of(collection) == clip
    assert len(tracks.tracked_in(clip)) == 1, "its keypoints can be corrected"


@pytest.mark.parametrize("footage", ["gaps", "missing.mp4", "text.mp4"])
def test_footage_that_blender_cannot_show_in_step_is_left_out(tmp_path, footage):
    pictures(tmp_path / "gaps", [1, 2, 5])
    (tmp_path / "text.mp4").write_text("no video")
    collection = takes.build_take(make_take(tmp_path / "take", 3, footage=tmp_path / footage))
    assert not takes.take_camera(collection).data.background_images
    assert not bpy.data.movieclips


def test_absent_person_is_hidden_and_does_not_morph(tmp_path):
    take = make_take(tmp_path / "take", 12, people=2, absent=slice(4, 8))
    first, second = takes.people_of(takes.build_take(take))
    assert compat.find_curve(first, "hide_render") is None
    hidden = [bool(compat.find_curve(second, "hide_render").evaluate(1 + row)) for row in range(12)]
    assert hidden == [False] * 4 + [True] * 4 + [False] * 4
    eval_time = compat.find_curve(second.data.shape_keys, "eval_time")
    assert eval_time.evaluate(5.5) == eval_time.evaluate(4)  # holds the last pose
    assert np.abs(shown(second, 1 + 8) - world_vertices(take, 1, 8)).max() < 1e-5


def test_person_who_comes_late_is_hidden_before(tmp_path):
    take = make_take(tmp_path / "take", 6, absent=slice(0, 2))
    ob, = takes.people_of(takes.build_take(take))
    assert [bool(compat.find_curve(ob, "hide_viewport").evaluate(1 + r)) for r in range(6)] == [True] * 2 + [False] * 4


def test_steady_clip_is_two_editable_points(tmp_path):
    ob, = takes.people_of(takes.build_take(make_take(tmp_path / "take", 20, step=3)))
    curve = compat.find_curve(ob.data.shape_keys, "eval_time")
    assert compat.key_frames(curve).tolist() == [[1, 10], [58, 200]]


def test_absolute_and_relative_convert_without_loss(tmp_path):
    take = make_take(tmp_path / "take", 12, people=2, absent=slice(5, 7), step=2)
    ob = takes.people_of(takes.build_take(take))[1]
    curve = compat.find_curve(ob.data.shape_keys, "eval_time")
    before = compat.key_frames(curve), [p.interpolation for p in curve.keyframe_points]
    rows = [0, 1, 4, 7, 11]
    absolute = [shown(ob, 1 + 2 * row) for row in rows] + [shown(ob, 4)]
    actions = len(bpy.data.actions)
    shape_keys.to_relative(ob)
    assert ob.data.shape_keys.use_relative
    relative = [shown(ob, 1 + 2 * row) for row in rows] + [shown(ob, 4)]
    assert max(np.abs(a - b).max() for a, b in zip(absolute, relative)) < 1e-5
    shape_keys.to_absolute(ob)
    curve = compat.find_curve(ob.data.shape_keys, "eval_time")
    assert np.allclose(compat.key_frames(curve), before[0], atol=1e-2)
    assert [p.interpolation for p in curve.keyframe_points] == before[1]
    assert len(bpy.data.actions) == actions


def test_retimed_take_converts(tmp_path):
    ob, = takes.people_of(takes.build_take(make_take(tmp_path / "take", 9)))
    curve = compat.find_curve(ob.data.shape_keys, "eval_time")
    curve.keyframe_points[1].co.x = 17.5  # slower, keys now fall between frames
    curve.update()
    frames = (1, 2, 6, 7, 16, 17)
    before = [shown(ob, f) for f in frames]
    shape_keys.to_relative(ob)
    assert max(np.abs(a - shown(ob, f)).max() for a, f in zip(before, frames)) < 1e-5


def test_hand_mixed_keys_stay_relative(tmp_path):
    ob, = takes.people_of(takes.build_take(make_take(tmp_path / "take", 5), relative=True))
    key = ob.data.shape_keys
    compat.remove_action(key)
    key.key_blocks[1].value = key.key_blocks[4].value = 0.5
    with pytest.raises(ValueError, match="mixed by hand"):
        shape_keys.to_absolute(ob)
    assert key.use_relative


def test_user_data_is_untouched(tmp_path):
    bpy.ops.wm.read_homefile(use_factory_startup=True)  # cube, light, camera
    scene = bpy.context.scene
    before = names()
    settings = (scene.render.fps, scene.render.fps_base, scene.render.resolution_x, scene.frame_start, scene.frame_end,
                scene.frame_current, scene.camera, list(bpy.context.selected_objects))
    takes.build_take(make_take(tmp_path / "take", 3))
    after = names()
    assert all(set(before[kind]) <= set(after[kind]) for kind in before)
    assert settings == (scene.render.fps, scene.render.fps_base, scene.render.resolution_x, scene.frame_start,
                        scene.frame_end, scene.frame_current, scene.camera, list(bpy.context.selected_objects))


def test_match_scene_is_an_option(tmp_path):
    scene = bpy.context.scene
    take = make_take(tmp_path / "take", 3, first=4, fps=30000 / 1001)
    collection = takes.build_take(take)
    assert not takes.scene_matches(scene, collection)
    takes.match_scene_to_take(scene, collection)
    assert takes.scene_matches(scene, collection)
    assert abs(scene.render.fps / scene.render.fps_base - 30000 / 1001) < 1e-3
    assert (scene.render.resolution_x, scene.render.resolution_y) == SIZE
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 3, 1)
    assert scene.camera == takes.take_camera(collection)


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    take = make_take(tmp_path / "take", 3)
    before = names()
    not_an_image = tmp_path / "texture.png"
    not_an_image.write_text("no picture")
    with pytest.raises(Exception, match=r"texture\.png"):
        takes.build_take(take, texture=not_an_image)
    assert names() == before


def test_empty_take_is_refused(tmp_path):
    take = make_take(tmp_path / "take", 3, absent=slice(0, 3))
    before = names()
    with pytest.raises(TakeError, match="no person"):
        takes.build_take(take)
    assert names() == before


def test_partly_solved_take_shows_what_is_done(tmp_path):
    take = make_take(tmp_path / "take", 6)
    take._mark("solved", np.arange(3, 6), 0)
    ob, = takes.people_of(takes.build_take(take))
    assert len(ob.data.shape_keys.key_blocks) == 1 + 3


def test_own_texture(tmp_path):
    image = bpy.data.images.new("made", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "skin.png"), "PNG"
    image.save()
    ob, = takes.people_of(takes.build_take(make_take(tmp_path / "take", 2), texture=tmp_path / "skin.png"))
    node = ob.data.materials[0].node_tree.nodes.active
    assert node.type == "TEX_IMAGE"
    assert node.image.packed_file
    assert node.outputs["Color"].links[0].to_socket.name == "Base Color"


def test_texture_chosen_again_is_as_the_file_is_now(tmp_path):
    path = tmp_path / "skin.png"

    def paint(value):
        image = bpy.data.images.new("made", 8, 8)
        image.pixels.foreach_set(np.tile(np.float32([value, value, value, 1]), 8 * 8))
        image.filepath_raw, image.file_format = str(path), "PNG"
        image.save()
        bpy.data.images.remove(image)

    paint(0.2)
    mine = bpy.data.images.load(str(path))
    people = takes.people_of(takes.build_take(make_take(tmp_path / "take", 2, people=2), texture=path))
    materials = [ob.data.materials[0] for ob in people]
    first, second = (material.texture_node(m).image for m in materials)
    assert first == second != mine, "one for both, and the user's own image stays outside the .blend"
    assert not mine.packed_file
    paint(0.8)
    edited = [material.set_texture(m, path) for m in materials]
    assert edited[0] == edited[1] != first
    assert np.allclose(edited[0].pixels[:3], 0.8, atol=0.01)
    assert [material.texture_node(m).image for m in materials] == edited
