"""Runs inside the Blender of tests/gui/run.sh: opens the sidebar tab and says what the window shows. Clicks nothing."""
import bpy

TAB = "Pose2Mesh"


def view3d():
    window = bpy.context.window_manager.windows[0]
    area = next(a for a in window.screen.areas if a.type == "VIEW_3D")
    return window, area


def open_tab():
    window, area = view3d()
    area.spaces.active.show_region_ui = True
    region = next(r for r in area.regions if r.type == "UI")
    area.tag_redraw()
    try:
        region.active_panel_category = TAB
    except (AttributeError, TypeError):  # read-only until the region was drawn once
        return 1.0
    if region.active_panel_category != TAB or region.width < 50:
        return 1.0
    print("tab", region.x, window.height - region.y - region.height, flush=True)
    bpy.app.timers.register(watch, first_interval=1)
    return None


def watch():
    """Say once when the result is there."""
    people = [o for o in bpy.data.objects if o.type == "MESH" and o.data.shape_keys and len(o.data.vertices) == 6890]
    if not people:
        return 1.0
    if not watch.seen:  # once more after the add-on has set up the view
        watch.seen = True
        return 3.0
    _, area = view3d()
    print("people", len(people), "keys", len(people[0].data.shape_keys.key_blocks), "fps", bpy.context.scene.render.fps,
          "view", area.spaces.active.region_3d.view_perspective, flush=True)
    return None


watch.seen = False
bpy.app.timers.register(open_tab, first_interval=2)
