"""Scene.pose2mesh_export: how people leave for other programs, and which bones of an armature mean which joints."""
from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..core.presets import DEFAULT, FILE_SUFFIXES, PRESETS, ExportOptions
from ..core.skeletons import SMPL24
from ..scene.retarget import bones_of

_FORMATS = {".fbx": "FBX", ".glb": "glTF", ".usdc": "USD", ".abc": "Alembic", ".bvh": "BVH"}


def _formats(self: bpy.types.PropertyGroup, context: bpy.types.Context) -> list[tuple[str, str, str]]:
    return FORMATS[PRESETS[self.preset].kind]  # type: ignore[attr-defined]


# kept: Blender does not hold on to the texts of a callback
FORMATS = {kind: [(s, f"{_FORMATS[s]} ({s})", "") for s in suffixes] for kind, suffixes in FILE_SUFFIXES.items()}


# Functions, for Blender reads the fields' texts where this module's other names are not known.
def _follow_preset(settings: Pose2MeshExport, context: bpy.types.Context) -> None:
    settings.property_unset("format")  # another preset, another list
    settings.together = PRESETS[settings.preset].together


def _is_armature(settings: Pose2MeshExport, ob: bpy.types.Object) -> bool:
    return ob.type == "ARMATURE"


def _guess(settings: Pose2MeshExport, context: bpy.types.Context) -> None:
    """Fill the bones of the chosen armature in, as far as their names say."""
    settings.bones.clear()
    known = bones_of(settings.armature) if settings.armature else {}
    for joint in SMPL24 if settings.armature else ():
        pair = settings.bones.add()
        pair.name, pair.bone = joint, known.get(joint, "")


class Pose2MeshBone(bpy.types.PropertyGroup):
    """A joint (its name) and the bone that shows it; empty leaves the bone alone."""

    bone: StringProperty(name="Bone")


class Pose2MeshExport(bpy.types.PropertyGroup):
    """Scene.pose2mesh_export"""

    preset: EnumProperty(name="Preset", description="What the file is for", default=DEFAULT,
                         update=_follow_preset,
                         items=tuple((p.name, p.label, p.text) for p in PRESETS.values()))
    format: EnumProperty(name="Format", description="Kind of file", items=_formats)
    in_place: BoolProperty(name="In Place", description="The root bone stays where it is, for motion that a game moves")
    together: BoolProperty(name="One File for All", description="Several people in one file; engines want one each")
    use_range: BoolProperty(name="Frame Range", description="Export a part of the animation")
    first: IntProperty(name="First", description="Frame of the scene", default=1)
    last: IntProperty(name="Last", description="Frame of the scene", default=250)
    step: IntProperty(name="Step", description="Every n-th frame, at a frame rate as much lower", default=1, min=1,
                      soft_max=10)
    simplify: FloatProperty(name="Simplify (mm)", description="Leave out frames as long as no bone is off by more than "
                            "this; 0 keeps all", default=0, min=0, soft_max=20)
    correctives: FloatProperty(name="Correctives (mm)", description="Add shape keys that bring the skinned mesh within "
                               "this of the exact one; 0 adds none", default=0, min=0, soft_max=10)
    budget: FloatProperty(name="Mean Error (mm)", description="How far the mixed shapes may be from the exact ones, on "
                          "average", default=1, min=0.01, soft_max=10)
    largest: FloatProperty(name="Largest Error (mm)", description="How far a vertex may be from the exact one in any "
                           "frame; 0 allows any distance", default=5, min=0, soft_max=50)
    bones: CollectionProperty(type=Pose2MeshBone)
    armature: PointerProperty(
        name="Armature", description="Your own character's armature", type=bpy.types.Object,
        poll=_is_armature, update=_guess)

    def options(self) -> ExportOptions:
        whole = not self.use_range
        return ExportOptions(None if whole else self.first, None if whole else self.last, self.step, self.simplify,
                             self.in_place, self.correctives, self.budget, self.largest)


def export_of(scene: bpy.types.Scene) -> Pose2MeshExport:
    return scene.pose2mesh_export  # type: ignore[attr-defined]


CLASSES = (Pose2MeshBone, Pose2MeshExport)


def add() -> None:
    bpy.types.Scene.pose2mesh_export = PointerProperty(type=Pose2MeshExport)  # type: ignore


def remove() -> None:
    del bpy.types.Scene.pose2mesh_export  # type: ignore[attr-defined]
