"""Skinned characters to files: FBX, GLB, USD, BVH. Each appears whole or not at all; the scene stays as it is."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpy

from ..core.bvh import write_bvh
from ..core.errors import ExportError
from ..core.glb import steady_rotations
from ..core.presets import ExportOptions, Preset
from .export import run, writing
from .rig import Fitted
from .rig_staging import staged_rigs

_FRAME_BYTES, _FIXED_BYTES = 6_000, 4_000_000  # of a person, at most


def export_skinned(path: Path, objects: Sequence[bpy.types.Object], preset: Preset, options: ExportOptions, *,
                   fps: float | None = None) -> list[Fitted]:
    """Writes persons as skinned characters to .fbx, .glb, .usdc or .bvh and returns how well the skeletons fit.

    FBX: centimetres, y up, no node turned or scaled, no leaf bones, every frame keyed from 0 s on; glTF and USD:
    metres. The animation has the file's name. Raises ExportError.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ExportError(f"{path}: a skinned character cannot be written to {suffix}.",
                          f"Use one of {', '.join(_WRITERS)}.")
    if suffix == ".bvh" and len(objects) > 1:
        raise ExportError(f"{path}: a BVH file holds one person.", "Export one file for each.")
    size = len(objects) * (_FIXED_BYTES + 1000 * _FRAME_BYTES)
    with writing(path, objects, size) as file, staged_rigs(objects, file.stem, preset, options, fps=fps,
                                                           y_up=suffix == ".fbx") as (scene, fitted):
        _WRITERS[suffix](path, file, scene, fitted)
    return fitted


def _fbx(path: Path, file: Path, scene: bpy.types.Scene, fitted: list[Fitted]) -> None:
    run(path, bpy.ops.export_scene.fbx, filepath=str(file), object_types={"MESH", "ARMATURE"}, use_selection=False,
        apply_scale_options="FBX_SCALE_NONE", axis_forward="-Z", axis_up="Y", bake_space_transform=False,
        use_mesh_modifiers=False, mesh_smooth_type="FACE", add_leaf_bones=False, armature_nodetype="NULL",
        use_armature_deform_only=False, bake_anim=True, bake_anim_use_all_bones=True, bake_anim_use_all_actions=False,
        bake_anim_use_nla_strips=False, bake_anim_force_startend_keying=True, bake_anim_simplify_factor=0.0,
        path_mode="COPY", embed_textures=True)


def _glb(path: Path, file: Path, scene: bpy.types.Scene, fitted: list[Fitted]) -> None:
    run(path, bpy.ops.export_scene.gltf, filepath=str(file), export_format="GLB", use_active_scene=True,
        export_animations=True, export_animation_mode="SCENE", export_anim_scene_split_object=False,
        export_force_sampling=True, export_optimize_animation_size=False, export_morph_normal=False,
        export_skins=True, export_influence_nb=4, export_def_bones=False, export_leaf_bone=False,
        export_rest_position_armature=True, export_apply=False, export_cameras=False, export_lights=False,
        export_extras=False)
    steady_rotations(file)  # the exporter turns quaternions over between keys


def _usd(path: Path, file: Path, scene: bpy.types.Scene, fitted: list[Fitted]) -> None:
    run(path, bpy.ops.wm.usd_export, filepath=str(file), export_animation=True, export_shapekeys=True,
        export_armatures=True, only_deform_bones=False, export_normals=False, export_uvmaps=True,
        export_materials=True, convert_world_material=False, export_custom_properties=False)


def _bvh(path: Path, file: Path, scene: bpy.types.Scene, fitted: list[Fitted]) -> None:
    person = fitted[0]
    write_bvh(file, person.rig, person.skeleton, scene.render.fps / scene.render.fps_base)


_WRITERS = {".fbx": _fbx, ".glb": _glb, ".usdc": _usd, ".usd": _usd, ".bvh": _bvh}
