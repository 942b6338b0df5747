"""What an export is for: which program, which bones, which kind of file. No `bpy` module use."""
from __future__ import annotations

from dataclasses import dataclass

from .errors import ExportError

FILE_SUFFIXES = {"skinned": (".fbx", ".glb", ".usdc", ".bvh"), "exact": (".fbx", ".glb", ".usdc", ".abc"),
                 "compact": (".fbx", ".glb"), "vat": (".glb", ".fbx")}


@dataclass(frozen=True)
class Preset:
    """kind: skinned | exact (one shape key per frame, or moving points) | compact (few mixed shape keys) | vat."""

    name: str
    label: str
    text: str
    kind: str = "skinned"
    names: str = ""  # of the bones, see conventions.py
    pose: str = "T"
    armature: str = ""  # what the node above the root bone is called; empty = as the person

    @property
    def together(self) -> bool:
        """Whether several people share a file unless the user says otherwise. Engines expect one skeleton in a file;
        the people of a shot belong together."""
        return self.kind == "exact"

    def shares(self, suffix: str) -> bool:
        """Whether a file can hold several people."""
        return self.kind != "vat" and suffix != ".bvh"


PRESETS = {p.name: p for p in (
    Preset("unity", "Unity", "Skinned character with a Humanoid avatar's bone names, T-pose", names="unity"),
    Preset("unreal", "Unreal", "Skinned character with the UE5 mannequin's bone names, A-pose", names="unreal",
           pose="A", armature="Armature"),  # Unreal leaves out a node of this name
    Preset("godot", "Godot", "Skinned character with SkeletonProfileHumanoid's bone names and axes, T-pose",
           names="godot"),
    Preset("mixamo", "Mixamo", "Skinned character with Mixamo's bone names, T-pose", names="mixamo"),
    Preset("blender", "Blender", "Skinned character with Rigify's bone names, T-pose", names="rigify"),
    Preset("smpl", "SMPL", "Skinned character with SMPL's bone names and axes, T-pose", names="smpl"),
    Preset("exact", "Exact", "Every vertex of every frame: shape keys in FBX and glTF, else moving points",
           kind="exact"),
    Preset("compact", "Compact", "A few shape keys that mix into every frame, within the errors you set",
           kind="compact"),
    Preset("vat", "Vertex Animation Texture", "Positions and normals as EXR pictures for a shader, on a still mesh",
           kind="vat"),
)}
DEFAULT = "unity"


@dataclass(frozen=True)
class ExportOptions:
    """What a user may choose beside the preset."""

    first: int | None = None  # frames of the scene; None = all
    last: int | None = None
    step: int = 1  # every n-th frame, at a rate as much lower
    simplify: float = 0.0  # millimetres that a larger step may cost; 0 = keep every frame
    in_place: bool = False  # the root bone stays where it is
    correctives: float = 0.0  # millimetres within which corrective shape keys bring the skinned mesh; 0 = none
    budget: float = 1.0  # of the preset "compact": mean error, millimetres
    largest: float = 5.0  # of the same: how far a vertex of any frame may be off, millimetres; 0 = no bound


def preset(name: str) -> Preset:
    """By name; raises ExportError that lists those there are."""
    if name not in PRESETS:
        raise ExportError(f"There is no export preset “{name}”.", f"Use one of: {', '.join(PRESETS)}.")
    return PRESETS[name]
