"""Preferences: where inference runs, how, and where unfinished takes are kept."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from .properties import QUALITIES
from .text import label, told, wrapped

PACKAGE = __package__.rpartition(".")[0]  # the add-on, whatever repository it was installed from

DEVICES = (("auto", "Automatic", "The fastest that works here"), ("cpu", "CPU", "Works everywhere"),
           ("cuda", "CUDA", "NVIDIA GPU"), ("rocm", "ROCm", "AMD GPU on Linux"),
           ("directml", "DirectML", "Any GPU on Windows"), ("coreml", "Core ML", "Apple silicon"),
           ("mps", "Metal", "Apple GPU through torch"))
SURE = 0.4  # the detector's own confidence

tested: list[dict] = []  # what the last test said of each device
_size: tuple[float, str, int] = (0.0, "", 0)  # when it was measured, of which folder, bytes


class Pose2MeshPreferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    device: EnumProperty(name="Device", description="Where the networks run", items=DEVICES, default="auto")
    threads: IntProperty(
        name="Threads", description="Of the processor, for each network; 0 takes all cores, up to the four that help. "
                                    "Fewer leave Blender more", default=0, min=0, soft_max=16)
    preset: EnumProperty(name="Quality", description="How carefully people are found, where a scene does not say it",
                         items=QUALITIES, default="accurate")
    confidence: FloatProperty(
        name="Confidence", description="How sure the detector must be of somebody. Less finds more people, and more "
                                       "that are none", default=SURE, min=0.1, max=0.9, subtype="FACTOR")
    detector: StringProperty(
        name="Own Detector", description="A keypoint network of your own (.onnx: HRNet, ViTPose, RTMPose); empty takes "
                                         "the bundled ones", subtype="FILE_PATH")
    cache: StringProperty(
        name="Cache Folder", description="Takes are kept here, so that stopped work goes on where it was; empty is the "
                                         "add-on's own folder", subtype="DIR_PATH")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        row = layout.row(align=True)
        row.prop(self, "device")
        row.operator("pose2mesh.test_devices", text="Test")
        for result in tested:
            draw_result(layout, result, context)
        layout.prop(self, "threads")
        layout.prop(self, "preset")
        layout.prop(self, "confidence", slider=True)
        layout.prop(self, "detector")
        layout.prop(self, "cache")
        row = layout.row()
        row.alignment = "RIGHT"
        row.label(text=label("{:.0f} MB in use", cache_size(cache_folder(context)) / 1e6), translate=False)
        row.operator("pose2mesh.clear_cache")


def draw_result(layout: bpy.types.UILayout, result: dict, context: bpy.types.Context) -> None:
    """What a test said of one device."""
    name = next((d[1] for d in DEVICES if d[0] == result["device"]), result["device"])
    if result["message"]:
        wrapped(layout, f"{name}: {told(result['message'])}", context.region.width if context.region else 500, icon="X")
        return
    layout.label(text=label("{} ({}): {:.0f} ms to look at a person, {:.0f} ms to make a mesh", name, result["engine"],
                            result["detect_ms"], result["mesh_ms"]), icon="CHECKMARK", translate=False)


def _of(context: bpy.types.Context) -> Any:
    addon: Any = context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def engine(context: bpy.types.Context) -> dict:
    """What of core's settings says where the networks run."""
    preferences = _of(context)
    return {"device": preferences.device, "threads": preferences.threads} if preferences else {
        "device": "auto", "threads": 0}


def quality(context: bpy.types.Context) -> str:
    """The preset where a scene does not name one."""
    preferences = _of(context)
    return preferences.preset if preferences else "accurate"


def detection(context: bpy.types.Context) -> dict:
    """What of core's settings the preferences say beyond the preset."""
    preferences = _of(context)
    if not preferences:
        return {}
    own = bpy.path.abspath(preferences.detector) if preferences.detector else None
    sure = round(preferences.confidence, 3)
    return {"confidence": None if sure == SURE else sure, "detector": own}


def cache_folder(context: bpy.types.Context) -> Path:
    """Where takes are kept: the preference, the extension's own folder, or Blender's for user data."""
    preferences = _of(context)
    if preferences and preferences.cache:
        return Path(bpy.path.abspath(preferences.cache))
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="takes", create=True))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource("DATAFILES", path="pose2mesh/takes", create=True))


def cache_size(folder: Path) -> int:
    """Bytes of all takes; measured now and then only, for it is drawn."""
    global _size
    if time.monotonic() - _size[0] > 10 or _size[1] != str(folder) or not _size[0]:
        total = 0
        for take in folder.glob("*/take.json"):
            for file in take.parent.rglob("*"):
                try:
                    total += file.stat().st_size
                except OSError:  # it went meanwhile
                    continue
        _size = (time.monotonic(), str(folder), total)
    return _size[2]


def forget_size() -> None:
    global _size
    _size = (0.0, "", 0)
