"""pose2mesh.edit_keypoints: the clip editor, on the person's tracks, beside the viewport."""
from __future__ import annotations

import functools
from typing import Any

import bpy

from ...core.errors import TakeError
from ...core.take import Take
from ...scene import takes, tracks
from .. import viewing
from ..keypoints import poll_target, target
from ..people import active_take
from ..properties import Result
from ..text import say, told


class POSE2MESH_OT_edit_keypoints(bpy.types.Operator):
    """Show the footage with this person's keypoints in a Movie Clip Editor, ready to be dragged"""

    bl_idname = "pose2mesh.edit_keypoints"
    bl_label = "Edit Keypoints"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return poll_target(cls, context)

    def execute(self, context: bpy.types.Context) -> Result:
        tracked = target(context)
        try:
            with Take.open(tracked.folder) as take:
                if tracked.offset != tracked.clip.frame_offset:
                    tracked = tracks.write(tracked.clip, take, tracked.person)
        except TakeError as error:
            self.report({"ERROR"}, told(error))
            return {"CANCELLED"}
        tracked.clip.tracking.objects.active = tracked.object
        area = _clip_editor(context)
        if area is None:
            self.report({"ERROR"}, say(
                "There is no room for a Movie Clip Editor. Open one and press the button again"))
            return {"CANCELLED"}
        space: Any = area.spaces.active
        space.mode, space.view, space.clip = "TRACKING", "CLIP", tracked.clip
        space.show_disabled, space.show_marker_pattern, space.show_track_path = True, False, False
        region = next((r for r in area.regions if r.type == "WINDOW"), None)
        if region and not bpy.app.background:
            override: Any = context.temp_override(area=area, region=region)
            with override:
                bpy.ops.clip.view_all(fit_view=True)
        self.report({"INFO"}, say("Drag the markers of {}. Ctrl+Z takes back", tracked.name))
        return {"FINISHED"}


def _clip_editor(context: bpy.types.Context) -> bpy.types.Area | None:
    """A clip editor of this window; without one, the viewport is divided."""
    areas = list(context.screen.areas) if context.screen else []
    if context.area and context.area.type == "CLIP_EDITOR":
        return context.area
    found = next((a for a in areas if a.type == "CLIP_EDITOR"), None)
    if found or not areas:
        return found
    wide = max([a for a in areas if a.type == "VIEW_3D"] or areas, key=lambda a: a.width)
    override: Any = context.temp_override(area=wide, region=wide.regions[-1])
    with override:
        if bpy.ops.screen.area_split(direction="VERTICAL", factor=0.5) != {"FINISHED"}:
            return None
    new = [a for a in context.screen.areas if a not in areas]
    if not new:
        return None
    fill = functools.partial(_fill, wide.as_pointer())
    bpy.app.timers.register(fill, first_interval=0.2)  # areas have their new sizes then
    new[0].type = "CLIP_EDITOR"
    editor: Any = new[0].spaces.active
    editor.show_region_toolbar = editor.show_region_ui = False  # half a viewport is narrow
    return new[0]


def _fill(divided: int) -> None:
    """The viewport that was divided, if it is there still, shows the whole picture again; others stay as they are."""
    take = active_take(bpy.context)
    for window in bpy.context.window_manager.windows if take else ():
        for area in window.screen.areas:
            if area.as_pointer() == divided and area.type == "VIEW_3D":
                viewing.fill(bpy.context, window, area, take[takes.SIZE])
