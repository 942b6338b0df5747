"""Runs inside the Blender of correct.sh: shows a solved take, opens the clip editor, says where a marker is, and logs
when the marker moves and when the mesh follows. Drags nothing itself."""
import contextlib
import importlib
import time

import bpy
import numpy as np

ADDON = "bl_ext.user_default.pose2mesh_blender"
FRAME, TRACK = 51, "Left Wrist"
state = {"shown": False}


def say(*words):
    print(*words, flush=True)


def part(name):
    return importlib.import_module(f"{ADDON}.{name}")


def person():
    return next(o for o in bpy.data.objects if o.get("pose2mesh_person") is not None)


def setup():
    for ob in list(bpy.data.objects):
        bpy.data.objects.remove(ob)
    with part("core.take").Take.open("/home/artist/take") as take:
        part("scene.takes").build_take(take, match_scene=True)
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == "VIEW_3D")
    part("scene.fresh").look_through(area.spaces.active)
    bpy.context.scene.frame_set(FRAME)
    bpy.context.scene.pose2mesh_keypoints.overlay_camera = True
    bpy.context.view_layer.objects.active = person()
    region = next(r for r in area.regions if r.type == "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        say("edit", bpy.ops.pose2mesh.edit_keypoints("INVOKE_DEFAULT"))
    bpy.app.timers.register(second, first_interval=3)


def second():
    window = bpy.context.window_manager.windows[0]
    clip = next(a for a in window.screen.areas if a.type == "CLIP_EDITOR")
    view = next(a for a in window.screen.areas if a.type == "VIEW_3D")
    view.spaces.active.show_region_ui = True
    with contextlib.suppress(AttributeError, TypeError):  # read-only until the region was drawn once
        next(r for r in view.regions if r.type == "UI").active_panel_category = "Pose2Mesh"
    for area in (clip, view):
        region = next(r for r in area.regions if r.type == "WINDOW")
        with bpy.context.temp_override(window=window, area=area, region=region):
            if area == clip:
                bpy.ops.clip.view_all(fit_view=True)
            else:
                bpy.ops.view3d.view_center_camera()
    bpy.app.timers.register(third, first_interval=3)


def third():
    window = bpy.context.window_manager.windows[0]
    tracks, live = part("scene.tracks"), part("ui.live")
    area = next(a for a in window.screen.areas if a.type == "CLIP_EDITOR")
    region = next(r for r in area.regions if r.type == "WINDOW")
    if not live.is_on():
        live.switch(True)
    tracked = next(tracks.tracked_anywhere())
    marker = tracked.object.tracks[TRACK].markers.find_frame(FRAME)
    x, y = region.view2d.view_to_region(marker.co[0], marker.co[1], clip=False)
    say("marker", region.x + x, window.height - (region.y + y), "co", *marker.co, "mute", marker.mute)
    bpy.app.timers.register(watch, first_interval=0.5)


def shapes():
    blocks = person().data.shape_keys.key_blocks
    out = np.empty((len(blocks) - 1, 6890 * 3), np.float32)
    for block, row in zip(blocks[1:], out):
        block.points.foreach_get("co", row)
    return out


def watch():
    """Logs: when the marker moved, when the frame's mesh followed."""
    tracks, live = part("scene.tracks"), part("ui.live")
    now = time.perf_counter()
    if "before" not in state:
        if live._live.client.busy or live._live.sent:
            return 0.2
        state["before"] = shapes()
        state["ready"] = True
        say("ready")
    tracked = next(tracks.tracked_anywhere())
    marker = tracked.object.tracks[TRACK].markers.find_frame(FRAME)
    block = person().data.shape_keys.key_blocks[FRAME]
    co = np.empty(6890 * 3, np.float32)
    block.points.foreach_get("co", co)
    key, mesh = (marker.co[0], marker.co[1]), float(co.sum())
    if state.get("key") not in (None, key):
        say(f"moved {now:.3f} to {key[0]:.4f} {key[1]:.4f}", "mute", marker.mute, "keyed", marker.is_keyed)
        state.setdefault("since", now)
    if state.get("mesh") not in (None, mesh):
        since = state.pop("since", None)
        say(f"mesh {now:.3f}", f"latency {1e3 * (now - since):.0f} ms" if since else "")
    state["key"], state["mesh"] = key, mesh
    rest = not (live._live.client.busy or live._live.pending or live._live.moved or live._live.sent)
    if rest and not state.get("rest"):
        rows = np.flatnonzero((shapes() != state["before"]).any(1))
        say("rest", len(rows), "frames changed:", (rows + 1).tolist(), live.message)
    state["rest"] = rest
    return 0.02


bpy.app.timers.register(setup, first_interval=3)
