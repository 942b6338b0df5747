"""Preferences: where inference runs and where unfinished takes are kept."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, StringProperty

PACKAGE = __package__.rpartition(".")[0]  # the add-on, whatever repository it was installed from

DEVICES = (("auto", "Automatic", "The fastest that works here"), ("cpu", "CPU", "Works everywhere"),
           ("cuda", "CUDA", "NVIDIA GPU"), ("rocm", "ROCm", "AMD GPU on Linux"),
           ("directml", "DirectML", "Any GPU on Windows"), ("coreml", "Core ML", "Apple silicon"),
           ("mps", "Metal", "Apple GPU through torch"))


class Pose2MeshPreferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    device: EnumProperty(name="Device", description="Where the networks run", items=DEVICES, default="auto")
    cache: StringProperty(
        name="Cache Folder", description="Takes are kept here, so that stopped work goes on where it was; empty is the "
                                         "add-on's own folder", subtype="DIR_PATH")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "device")
        layout.prop(self, "cache")
        row = layout.row()
        row.alignment = "RIGHT"
        row.operator("pose2mesh.clear_cache")


def device(context: bpy.types.Context) -> str:
    addon: Any = context.preferences.addons.get(PACKAGE)
    return addon.preferences.device if addon and addon.preferences else "auto"


def cache_folder(context: bpy.types.Context) -> Path:
    """Where takes are kept: the preference, the extension's own folder, or Blender's for user data."""
    addon: Any = context.preferences.addons.get(PACKAGE)
    if addon and addon.preferences and addon.preferences.cache:
        return Path(bpy.path.abspath(addon.preferences.cache))
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="takes", create=True))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource("DATAFILES", path="pose2mesh/takes", create=True))
