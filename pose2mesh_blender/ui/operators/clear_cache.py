"""pose2mesh.clear_cache: delete kept takes."""
from __future__ import annotations

import shutil

import bpy

from .. import jobs
from ..preferences import cache_folder, forget_size
from ..properties import Result
from ..text import say


class POSE2MESH_OT_clear_cache(bpy.types.Operator):
    """Delete kept takes. Meshes in your files stay; stopped work starts over"""

    bl_idname = "pose2mesh.clear_cache"
    bl_label = "Clear Cache"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current is not None:
            cls.poll_message_set(say("Pose2Mesh is at work. Press Esc to stop it"))
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Result:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> Result:
        jobs.shut_down()
        removed, size = 0, 0
        for folder in cache_folder(context).glob("*"):
            if (folder / "take.json").is_file():  # whatever else lies there is not ours
                size += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        forget_size()
        self.report({"INFO"}, say("Deleted {} takes, {:.0f} MB", removed, size / 1e6))
        return {"FINISHED"}
