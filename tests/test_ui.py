"""The add-on as a user meets it: registering, animating, stopping, exporting, refusing; with the real worker."""
from __future__ import annotations

import os
import shutil
import signal
from types import SimpleNamespace

import bpy
import pytest
from events import one_by_one
from modal import Window, begin, tick
from walking_take import make_take

import pose2mesh_blender
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import takes
from pose2mesh_blender.ui import (
    CLASSES,
    detect_panel,
    export_panel,
    footage_panel,
    jobs,
    mesh_panel,
    panel,
    people_panel,
    solve_panel,
)

pytestmark = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # in Blender's FBX exporter


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Takes of a test lie in its own folder."""
    monkeypatch.setattr(jobs, "cache_folder", lambda context: tmp_path / "cache")
    monkeypatch.setattr(jobs, "_clear_status", lambda: setattr(Window, "status", None))
    return tmp_path / "cache"


@pytest.fixture(scope="module", autouse=True)
def addon():
    pose2mesh_blender.register()
    yield
    pose2mesh_blender.unregister()


@pytest.fixture
def broken(tmp_path):
    """Text that claims to be a video."""
    path = tmp_path / "holiday.mp4"
    path.write_text("this is no video\n" * 50)
    return path


def names() -> dict[str, list[str]]:
    return {p.identifier: sorted(i.name for i in getattr(bpy.data, p.identifier))
            for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"}


def test_registering_twice_leaves_nothing_behind():
    before = set(dir(bpy.types))
    pose2mesh_blender.unregister()
    left = set(dir(bpy.types))
    assert not [n for n in left if "pose2mesh" in n.lower()]
    assert not hasattr(bpy.types.Scene, "pose2mesh")
    assert not [f for menu in (bpy.types.TOPBAR_MT_file_import, bpy.types.TOPBAR_MT_file_export)
                for f in menu._dyn_ui_initialize() if "pose2mesh" in f.__module__]
    assert jobs._client is None
    pose2mesh_blender.register()
    assert set(dir(bpy.types)) == before


def test_every_operator_explains_itself():
    for cls in CLASSES:
        if issubclass(cls, bpy.types.Operator):
            assert cls.__doc__
            assert not cls.__doc__.endswith(".")
            assert cls.bl_idname.startswith("pose2mesh.")


def test_animate_blocks_in_background(demo_clip):
    result = bpy.ops.pose2mesh.import_footage(filepath=str(demo_clip), preset="fast", people=1, start=2, end=5)
    assert result == {"FINISHED"}
    take, = takes.takes_in(bpy.context.scene)
    assert take.name == f"{demo_clip.stem} Take 001"
    ob, = takes.people_of(take)
    assert len(ob.data.shape_keys.key_blocks) == 1 + 4
    assert takes.take_camera(take).data.background_images[0].clip
    assert bpy.context.view_layer.objects.active == ob
    assert ob.select_get()
    assert jobs.current is None


def test_animate_is_one_undo_step(demo_clip):
    bpy.ops.ed.undo_push(message="before")
    before = names()
    bpy.ops.pose2mesh.import_footage("EXEC_DEFAULT", True, filepath=str(demo_clip), preset="fast", people=1, end=2)
    assert takes.takes_in(bpy.context.scene)
    bpy.ops.ed.undo()
    assert names() == before


def test_animate_takes_the_scenes_settings_unless_told(demo_clip):
    settings = bpy.context.scene.pose2mesh
    settings.footage, settings.preset, settings.people, settings.start = str(demo_clip), "fast", 1, 3
    settings.match_scene = True
    assert bpy.ops.pose2mesh.animate(end=4) == {"FINISHED"}
    take, = takes.takes_in(bpy.context.scene)
    assert tuple(take[takes.RANGE]) == (1, 2)
    assert takes.scene_matches(bpy.context.scene, take)


@pytest.mark.parametrize("case", ["missing", "empty", "text", "nothing chosen", "start after the end"])
def test_refusals_name_the_file_and_leave_the_scene(case, broken, tmp_path, demo_clip):
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    path, options, message = broken, {}, "holiday"
    if case == "missing":
        path = tmp_path / "gone.mp4"
        message = "gone.mp4"
    elif case == "empty":
        path.write_bytes(b"")
    elif case == "nothing chosen":
        path, message = "", "Choose footage first"
    elif case == "start after the end":
        path, options, message = demo_clip, {"start": 5000}, demo_clip.name
    before, frame = names(), bpy.context.scene.frame_current
    with pytest.raises(RuntimeError, match=message) as caught:
        bpy.ops.pose2mesh.import_footage(filepath=str(path), **options)
    assert "Traceback" not in str(caught.value)
    assert names() == before
    assert bpy.context.scene.frame_current == frame
    assert jobs.current is None


@pytest.mark.parametrize("case", ["no rights", "a file in the way"])
def test_cache_that_cannot_be_used_is_a_message(case, tmp_path, demo_clip, monkeypatch):
    """Wherever it fails: Blender makes the folder itself when none is chosen."""
    (tmp_path / "taken").write_text("")

    def cache_folder(context):
        if case == "no rights":
            raise PermissionError(13, "Permission denied", "/locked/takes")
        return tmp_path / "taken"

    monkeypatch.setattr(jobs, "cache_folder", cache_folder)
    with pytest.raises(RuntimeError, match=r"(/locked/takes|taken) cannot be used as cache") as caught:
        bpy.ops.pose2mesh.import_footage(filepath=str(demo_clip))
    assert "Traceback" not in str(caught.value)
    assert jobs.current is None


def test_python_that_cannot_be_started_is_not_blamed_on_the_cache(demo_clip, monkeypatch):
    jobs.shut_down()
    monkeypatch.setattr("sys.executable", "/gone/python")
    with pytest.raises(RuntimeError, match="Python cannot be started") as caught:
        bpy.ops.pose2mesh.import_footage(filepath=str(demo_clip))
    assert "cache" not in str(caught.value)
    assert jobs.current is None
    monkeypatch.undo()
    jobs.shut_down()  # its client would go on looking there


def test_import_folder_goes_on_after_a_bad_file(tmp_path, demo_clip, broken):
    folder = tmp_path / "footage"
    folder.mkdir()
    shutil.copy(demo_clip, folder / "a.mp4")
    shutil.copy(broken, folder / "b.mp4")
    shutil.copy(demo_clip, folder / "c.mp4")
    assert bpy.ops.pose2mesh.import_folder(directory=str(folder), preset="fast", people=1, end=1) == {"FINISHED"}
    assert [t.name for t in takes.takes_in(bpy.context.scene)] == ["a Take 001", "c Take 001"]
    level, message = jobs.last_message
    assert level == "ERROR"
    assert "b.mp4" in message
    with pytest.raises(RuntimeError, match="no footage"):
        (tmp_path / "bare").mkdir()
        bpy.ops.pose2mesh.import_folder(directory=str(tmp_path / "bare"))


@pytest.fixture
def every_event(monkeypatch):
    """Each tick hears one event of the worker: no stage is over before it was seen."""
    client = one_by_one(jobs.WorkerClient())
    monkeypatch.setattr(jobs, "_client", client)
    yield
    client.terminate()


def test_modal_shows_progress_and_finishes(demo_clip, every_event):
    window, operator = begin(demo_clip, end=6)
    assert not jobs.WorkerOperator.poll.__func__(SimpleNamespace(poll_message_set=lambda text: None), None)
    assert tick(window, operator, lambda: jobs.current.done and jobs.current.stage == "detect") == {"PASS_THROUGH"}
    assert "Finding people" in window.status
    assert "Esc" in window.status
    assert operator.modal(window.context, window.event("MOUSEMOVE")) == {"PASS_THROUGH"}
    assert tick(window, operator, lambda: False) == {"FINISHED"}
    assert (window.status, window.timers, jobs.current) == (None, 0, None)
    assert operator.reports[0][0] == "INFO"
    assert "7 frames" in operator.reports[0][1]


def test_escape_keeps_finished_frames_and_the_next_run_goes_on(long_clip, cache):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect" and jobs.current.done >= 3)
    assert operator.modal(window.context, window.event("ESC")) in ({"RUNNING_MODAL"}, {"FINISHED"})
    if jobs.current:
        assert tick(window, operator, lambda: False) == {"FINISHED"}
    ob, = takes.people_of(takes.takes_in(bpy.context.scene)[0])
    finished = len(ob.data.shape_keys.key_blocks) - 1
    folder, = cache.iterdir()
    with Take.open(folder) as take:
        assert 3 <= finished == take.done.sum() < len(take)
    assert "Animate again" in operator.reports[-1][1]
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    assert jobs.current.done >= finished
    operator.cancel(window.context)


def test_opening_another_file_ends_the_job(long_clip):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    operator.cancel(window.context)
    assert (window.status, window.timers, jobs.current) == (None, 0, None)
    assert not takes.takes_in(bpy.context.scene)


def test_switching_the_add_on_off_ends_the_job(long_clip):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    process = jobs.client()._process
    pose2mesh_blender.unregister()
    assert process.poll() is not None
    assert (window.status, window.timers) == (None, 0)
    assert operator.modal(window.context, window.event("TIMER")) == {"CANCELLED"}
    pose2mesh_blender.register()


def test_worker_ends_even_when_the_window_is_gone(long_clip, monkeypatch):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    process = jobs.client()._process

    def gone():
        raise ReferenceError("the window was closed")

    monkeypatch.setattr(jobs, "_in_window", gone)
    with pytest.raises(ReferenceError):
        jobs.shut_down()
    assert process.poll() is not None
    assert (jobs.current, jobs._client) == (None, None)


def test_killed_worker_is_a_message_and_the_next_run_goes_on(long_clip):
    before = names()
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect" and jobs.current.done >= 2)
    os.kill(jobs.client()._process.pid, signal.SIGTERM)
    assert tick(window, operator, lambda: False) == {"CANCELLED"}
    assert operator.reports[0][0] == "ERROR"
    assert "Finished frames are kept" in operator.reports[0][1]
    assert names() == before
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    assert jobs.current.done > 2
    operator.modal(window.context, window.event("ESC"))
    assert tick(window, operator, lambda: False) == {"FINISHED"}
    assert "of 600 frames" in operator.reports[0][1]


def test_stopping_a_worker_that_has_just_died_ends_the_job(long_clip):
    window, operator = begin(long_clip)
    tick(window, operator, lambda: jobs.current.stage == "detect")
    process = jobs.client()._process
    process.kill()
    process.wait()
    jobs.current.stop()
    assert tick(window, operator, lambda: False) == {"CANCELLED"}
    assert jobs.current is None


def test_a_cached_take_that_cannot_be_continued_is_made_again(demo_clip, cache):
    window, operator = begin(demo_clip, end=2)
    tick(window, operator, lambda: False)
    folder, = cache.iterdir()
    with Take.open(folder, write=True) as take:
        take.info["models"] = {"detectors": {"other": "ones"}}  # as after an update of the add-on
        take.save()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)  # a take that a scene shows stays
    window, operator = begin(demo_clip, end=2)
    assert tick(window, operator, lambda: False) == {"FINISHED"}
    assert list(cache.iterdir()) == [folder]


def test_export_operator(tmp_path):
    with pytest.raises(RuntimeError, match="Animate footage first"):
        bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "x.fbx"))
    takes.build_take(make_take(tmp_path / "take", 4, people=2))
    assert bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "x"), preset="exact") == {"FINISHED"}
    assert (tmp_path / "x.fbx").stat().st_size > 100_000
    before = names()
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match=r"x\.fbx cannot be written"):
        bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "file" / "x.fbx"), preset="exact")
    assert names() == before


@pytest.mark.parametrize("suffix", [".glb", ".usdc", ".abc"])
def test_export_of_other_formats(tmp_path, suffix):
    takes.build_take(make_take(tmp_path / "take", 4))
    assert bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / f"x{suffix}"), preset="exact",
                                           rate="SCENE") == {"FINISHED"}
    assert (tmp_path / f"x{suffix}").stat().st_size > 100_000


def test_only_selected_people_are_exported(tmp_path):
    _, second = takes.people_of(takes.build_take(make_take(tmp_path / "take", 3, people=2)))
    bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "both.fbx"), preset="exact")
    second.select_set(True)
    bpy.ops.pose2mesh.export_people(filepath=str(tmp_path / "one.fbx"), preset="exact")
    assert (tmp_path / "one.fbx").stat().st_size < 0.7 * (tmp_path / "both.fbx").stat().st_size


def test_texture_keys_and_scene_operators(tmp_path, broken):
    take = takes.build_take(make_take(tmp_path / "take", 4, fps=25.0))
    ob, = takes.people_of(take)
    image = bpy.data.images.new("x", 8, 8)
    image.filepath_raw, image.file_format = str(tmp_path / "skin.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    assert bpy.ops.pose2mesh.set_texture(filepath=str(tmp_path / "skin.png")) == {"FINISHED"}
    assert ob.data.materials[0].node_tree.nodes.active.image.name == "skin.png"
    with pytest.raises(RuntimeError, match=r"holiday\.mp4"):
        bpy.ops.pose2mesh.set_texture(filepath=str(broken))
    assert ob.data.materials[0].node_tree.nodes.active.image.name == "skin.png"
    plain = bpy.data.materials.new("My own")  # a material of the user's, without a place for an image
    if bpy.app.version < (5, 0):
        plain.use_nodes = True
    plain.node_tree.nodes.clear()
    ob.active_material = plain
    assert "No texture" in [d[2] for d in draw(mesh_panel.POSE2MESH_PT_mesh)]
    with pytest.raises(RuntimeError, match="My own has no Principled"):
        bpy.ops.pose2mesh.set_texture(filepath=str(tmp_path / "skin.png"))
    ob.data.materials[0] = None
    assert bpy.ops.pose2mesh.set_texture(filepath=str(tmp_path / "skin.png")) == {"FINISHED"}
    assert bpy.ops.pose2mesh.convert_keys(storage="RELATIVE") == {"FINISHED"}
    assert ob.data.shape_keys.use_relative
    assert bpy.ops.pose2mesh.convert_keys(storage="ABSOLUTE") == {"FINISHED"}
    assert not ob.data.shape_keys.use_relative
    assert bpy.ops.pose2mesh.match_scene() == {"FINISHED"}
    assert bpy.context.scene.render.fps == 25


def test_converting_keys_is_for_everybody_or_nobody(tmp_path):
    people = takes.people_of(takes.build_take(make_take(tmp_path / "take", 4, people=2), relative=True))
    last = people[-1].data.shape_keys
    bpy.data.actions.remove(last.animation_data.action)
    for block, value in zip(last.key_blocks, (0, 0.5, 0, 0, 0.5)):
        block.value = value
    with pytest.raises(RuntimeError, match=f"{people[-1].name}: .*mixed by hand"):
        bpy.ops.pose2mesh.convert_keys(storage="ABSOLUTE")
    assert all(ob.data.shape_keys.use_relative for ob in people)
    assert people[0].data.shape_keys.animation_data.action
    last.key_blocks[1].value = 0.0
    last.key_blocks[4].value = 1.0
    assert bpy.ops.pose2mesh.convert_keys(storage="ABSOLUTE") == {"FINISHED"}
    assert not any(ob.data.shape_keys.use_relative for ob in people)


def test_dropped_or_imported_footage_waits_for_animate(demo_clip, tmp_path):
    assert ".mp4" in bpy.types.POSE2MESH_FH_footage.bl_file_extensions.split(";")
    assert bpy.ops.pose2mesh.open_footage("INVOKE_DEFAULT", filepath=str(demo_clip)) == {"FINISHED"}
    assert bpy.context.scene.pose2mesh.footage == str(demo_clip)
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.pose2mesh.open_footage(filepath=str(tmp_path / "gone.mp4"))
    assert bpy.context.scene.pose2mesh.footage == str(demo_clip)


class Layout:
    """Records what a panel draws."""

    def __init__(self, drawn: list) -> None:
        object.__setattr__(self, "drawn", drawn)

    def __setattr__(self, name, value):
        pass

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.drawn.append((name, arguments[-1] if arguments else None, options.get("text")))
            return Layout(self.drawn)
        return call


def draw(panel, **context):
    drawn = []
    here = SimpleNamespace(scene=bpy.context.scene, view_layer=bpy.context.view_layer,
                           window_manager=bpy.context.window_manager, region=SimpleNamespace(width=250), **context)
    panel.draw(SimpleNamespace(layout=Layout(drawn)), here)
    return drawn


def operators(panel_class, **context):
    return {d[1] for d in draw(panel_class, **context) if d[0] == "operator"}


def labels(panel_class, **context):
    return [d[2] for d in draw(panel_class, **context) if d[0] == "label"]


def test_an_empty_panel_says_what_to_do(demo_clip):
    jobs.last_message = ("", "")
    assert len(labels(panel.POSE2MESH_PT_main)) == 2
    assert "video" in labels(panel.POSE2MESH_PT_main)[0]
    assert not bpy.ops.pose2mesh.animate.poll()
    bpy.context.scene.pose2mesh.footage = str(demo_clip)
    assert bpy.ops.pose2mesh.animate.poll()
    assert "Press Animate" in labels(panel.POSE2MESH_PT_main)[0]
    assert "pose2mesh.animate" in operators(panel.POSE2MESH_PT_main)
    for later in ("person_merge", "person_split", "person_delete", "solve_again", "solved_camera", "align_floor",
                  "convert_keys", "bake_cache", "export_people", "match_scene", "set_texture"):
        assert not getattr(bpy.ops.pose2mesh, later).poll(), f"{later} comes later"


def test_panels_show_the_next_step(tmp_path, demo_clip):
    jobs.last_message = ("", "")
    assert "Nothing animated yet" in labels(mesh_panel.POSE2MESH_PT_mesh)
    assert "Animate footage first" in labels(people_panel.POSE2MESH_PT_people)
    takes.build_take(make_take(tmp_path / "take", 3))
    assert {"pose2mesh.convert_keys", "pose2mesh.set_texture", "pose2mesh.bake_cache"} <= operators(
        mesh_panel.POSE2MESH_PT_mesh)
    assert any("fps" in text for text in labels(footage_panel.POSE2MESH_PT_footage))
    assert bpy.ops.pose2mesh.match_scene.poll()
    bpy.ops.pose2mesh.match_scene()
    assert not bpy.ops.pose2mesh.match_scene.poll()
    assert not any("fps" in text for text in labels(footage_panel.POSE2MESH_PT_footage))
    shown = {d[1] for cls in (footage_panel.POSE2MESH_PT_footage, detect_panel.POSE2MESH_PT_detect,
                              solve_panel.POSE2MESH_PT_solve) for d in draw(cls)}
    assert {"preset", "people", "smooth", "match_scene", "lens", "body", "feet"} <= shown
    assert "pose2mesh.export_people" in operators(export_panel.POSE2MESH_PT_export)
    window, operator = begin(demo_clip, end=3)
    drawn = draw(panel.POSE2MESH_PT_main)
    assert "progress" in [d[0] for d in drawn]
    assert {"pose2mesh.cancel", "pose2mesh.pause"} <= {d[1] for d in drawn}
    operator.cancel(window.context)
    jobs.last_message = ("ERROR", "holiday.mp4 is no video. Choose another file that is one, please")
    assert len(labels(panel.POSE2MESH_PT_main)) > 1, "long errors are wrapped"


def test_every_panel_is_in_our_tab_under_the_main_one():
    for cls in CLASSES:
        if issubclass(cls, bpy.types.Panel) and cls.bl_space_type == "VIEW_3D":
            assert cls.bl_category == "Pose2Mesh"
            assert cls is panel.POSE2MESH_PT_main or cls.bl_parent_id


def test_real_layouts_draw(tmp_path):
    """Properties that panels name exist: Blender itself draws them, in the real region of a window."""
    collection = takes.build_take(make_take(tmp_path / "take", 3, people=2))
    ob = takes.people_of(collection)[0]
    settings = bpy.context.scene.pose2mesh
    settings.person_index = list(collection.objects).index(ob)
    assert bpy.context.view_layer.objects.active == ob
    assert settings.person_index == list(collection.objects).index(ob)
    for owner, fields in ((ob.pose2mesh, ("title", "height", "smooth", "solve", "show")),
                          (collection.pose2mesh, ("offset", "tilt")), (settings, ("movements", "lens", "body"))):
        for name in fields:
            assert name in owner.bl_rna.properties


def test_cache_is_cleared_of_takes_only(cache, monkeypatch):
    from pose2mesh_blender.ui.operators import clear_cache

    monkeypatch.setattr(clear_cache, "cache_folder", lambda context: cache)
    make_take(cache / "walk-123", 2).close()
    (cache / "notes").mkdir()
    (cache / "notes" / "mine.txt").write_text("keep")
    assert bpy.ops.pose2mesh.clear_cache() == {"FINISHED"}
    assert sorted(p.name for p in cache.iterdir()) == ["notes"]
