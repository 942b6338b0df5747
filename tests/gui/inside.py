"""Runs inside the Blender of tests/gui/walk.py and answers its questions. Clicks and changes nothing but where the
sidebar's tab is what it is asked for.

A question is a file N.ask, the name of a function of ANSWERS and its arguments as JSON; the answer is a file N.answer.
"""
import importlib
import json
import time
import traceback
from pathlib import Path

import bpy
import numpy as np

ADDON = "bl_ext.user_default.pose2mesh_blender"
TAB = "Pose2Mesh"
TALK = Path("/home/artist/talk")
kept: dict = {}


def part(name):
    return importlib.import_module(f"{ADDON}.{name}")


def window():
    return bpy.context.window_manager.windows[0]


def box(region):
    """Left, top, width, height in pixels, from the top left of the window."""
    return [region.x, window().height - region.y - region.height, region.width, region.height]


def areas():
    """type -> the box of the area of that type, and those of its regions."""
    return {area.type: {"": box(area), **{r.type: box(r) for r in area.regions}} for area in window().screen.areas}


def windows():
    return [[w.x, w.y, w.width, w.height, [a.type for a in w.screen.areas]] for w in bpy.context.window_manager.windows]


def tab():
    """The box of the viewport's sidebar, on our tab; None until it was drawn once."""
    area = next(a for a in window().screen.areas if a.type == "VIEW_3D")
    area.spaces.active.show_region_ui = True
    region = next(r for r in area.regions if r.type == "UI")
    area.tag_redraw()
    try:
        region.active_panel_category = TAB
    except (AttributeError, TypeError):  # read-only until the region was drawn once
        return None
    return box(region) if region.active_panel_category == TAB and region.width > 50 else None


def draw():
    """Asks for everything to be drawn; returns the number that `drawn` has reached then."""
    if "handler" not in kept:
        kept["handler"] = bpy.types.SpaceView3D.draw_handler_add(
            lambda: kept.update(drawn=kept.get("asked", 0)), (), "WINDOW", "POST_PIXEL")
    kept["asked"] = kept.get("asked", 0) + 1
    for area in window().screen.areas:
        area.tag_redraw()
    return kept["asked"]


def drawn():
    return kept.get("drawn", 0)


def people():
    return [ob for ob in bpy.data.objects if ob.get("pose2mesh_person") is not None]


def state():
    jobs, live, takes = part("ui.jobs"), part("ui.live"), part("scene.takes")
    scene, here = bpy.context.scene, takes.takes_in(bpy.context.scene)
    view = next(a for a in window().screen.areas if a.type == "VIEW_3D")
    found = {"people": len(people()), "objects": sorted(ob.name for ob in bpy.data.objects),
             "footage": part("ui.properties").settings_of(scene).footage, "frame": scene.frame_current,
             "fps": scene.render.fps, "view": view.spaces.active.region_3d.view_perspective,
             "shading": view.spaces.active.shading.type, "message": jobs.last_message[1], "job": None,
             "live": live.is_on(), "rest": resting(), "takes": [c[takes.TAKE] for c in here]}
    if jobs.current:
        found["job"] = {"stage": jobs.current.stage, "done": jobs.current.done, "total": jobs.current.total,
                        "text": jobs.current.text, "fraction": jobs.current.fraction}
    if here:
        with part("core.take").Take.open(here[0][takes.TAKE]) as take:
            found["rows"], found["detected"], found["done"] = len(take), int(take.detected.sum()), int(take.done.sum())
    return found


def resting():
    """Whether live re-solve has nothing to do."""
    live = part("ui.live")
    if not live.is_on():
        return True
    now = live._live
    return not (now.client.busy or now.pending or now.moved or now.sent)


def marker(track, frame):
    """Where a track's marker lies in the window, and what it is."""
    area = next(a for a in window().screen.areas if a.type == "CLIP_EDITOR")
    region = next(r for r in area.regions if r.type == "WINDOW")
    tracked = next(part("scene.tracks").tracked_anywhere())
    found = tracked.object.tracks[track].markers.find_frame(frame)
    x, y = region.view2d.view_to_region(*found.co, clip=False)
    return {"at": [region.x + x, window().height - (region.y + y)], "co": list(found.co), "mute": found.mute,
            "keyed": found.is_keyed}


def shapes():
    """Per person: world points (frames, 6890, 3) of every shape key with its place."""
    out = {}
    for ob in people():
        blocks = ob.data.shape_keys.key_blocks[1:]
        points = np.empty((len(blocks), 6890 * 3), np.float32)
        for block, row in zip(blocks, points):
            block.points.foreach_get("co", row)
        curves = [part("scene.compat").find_curve(ob, "location", axis) for axis in range(3)]
        places = np.empty((len(blocks), 3))
        for axis, curve in enumerate(curves):
            co = np.empty(2 * len(curve.keyframe_points))
            curve.keyframe_points.foreach_get("co", co)
            places[:, axis] = co[1::2]
        out[ob.name] = points.reshape(len(blocks), -1, 3) + places[:, None]
    return out


def remember():
    kept["shapes"] = shapes()


def changed():
    """Per person: frames whose mesh is another one than at `remember`; of each how far (mm) each of SMPL's 24 parts
    moved."""
    body = part("core.body").embedded_body()
    parts, out = body.weights.argmax(1), {}
    for name, now in shapes().items():
        moved = 1e3 * np.linalg.norm(now - kept["shapes"][name], axis=-1)
        frames = np.flatnonzero(moved.max(1) > 0)
        out[name] = {"frames": (frames + 1).tolist(),
                     "parts": [[float(moved[frame][parts == p].max()) for p in range(24)] for frame in frames]}
    return out


def watch(track, frame):
    """Starts a log of when this marker moves and when the mesh of its frame follows, see `watched`."""
    ob, log = people()[0], []
    tracked = next(part("scene.tracks").tracked_anywhere())
    source, name = tracked.object.tracks[track], ob.name
    client = part("ui.live")._live.client
    before = {"key": tuple(source.markers.find_frame(frame).co), "mesh": None}
    co = np.empty(6890 * 3, np.float32)

    def spent():
        """Processor seconds of the main thread and of the worker."""
        with open(f"/proc/{client._process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return time.thread_time(), (int(fields[11]) + int(fields[12])) / 100

    def look():
        if kept.get("log") is not log:
            return None
        key = tuple(next(part("scene.tracks").tracked_anywhere()).object.tracks[track].markers.find_frame(frame).co)
        bpy.data.objects[name].data.shape_keys.key_blocks[frame].points.foreach_get("co", co)
        mesh = float(co.sum())
        for what, now in (("key", key), ("mesh", mesh)):
            if before[what] not in (None, now):
                log.append([what, time.perf_counter(), *spent()])
            before[what] = now
        return 0.002

    kept["log"] = log
    bpy.app.timers.register(look)


def watched():
    """The log so far: what moved, when, processor seconds of Blender's main thread and of the worker until then."""
    return list(kept["log"])


def unwatch():
    kept["log"] = None


ANSWERS = {f.__name__: f for f in (areas, windows, tab, draw, drawn, state, marker, remember, changed, watch, watched,
                                   unwatch)}


def listen():
    for question in sorted(TALK.glob("*.ask")):
        name, *arguments = json.loads(question.read_text())
        question.unlink()
        try:
            answer = {"answer": ANSWERS[name](*arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        written = question.with_suffix(".part")
        written.write_text(json.dumps(answer))
        written.rename(question.with_suffix(".answer"))
    return 0.1


TALK.mkdir(exist_ok=True)
bpy.app.timers.register(listen, first_interval=2, persistent=True)
