"""Files from takes: FBX, GLB, USD, Alembic, .blend. Each appears whole or not at all; the scene stays as it is."""
from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import bpy

from ..core.errors import ExportError
from ..core.pca import Pca
from ..core.presets import ExportOptions
from . import takes
from .points_staging import staged_points
from .staging import staged

# Bytes a frame of one person takes at most, by format; to refuse a full disk before anything is computed.
_FRAME_BYTES = {".fbx": 250_000, ".glb": 100_000, ".usdc": 100_000, ".usd": 100_000, ".abc": 100_000}


def export(path: Path, objects: Sequence[bpy.types.Object], *, fps: float | None = None) -> None:
    """Write persons to `path`, the format by its suffix: .fbx .glb .usdc (.usd) .abc, or .blend (the whole file).

    fps: frame rate of the file, default the footage's. Raises ExportError.
    """
    path = Path(path)
    if path.suffix.lower() == ".blend":
        save_blend(path)
    elif writer := WRITERS.get(path.suffix.lower()):
        writer(path, objects, fps=fps)
    else:
        raise ExportError(f"{path}: unknown kind of file.", f"Use one of {', '.join([*WRITERS, '.blend'])}.")


def export_fbx(path: Path, objects: Sequence[bpy.types.Object], *, fps: float | None = None) -> None:
    """FBX with one animated blend shape per frame, root motion and the texture inside; metres, y up, starting at 0 s.

    Animation of blend shapes survives only with relative keys and without NLA and "all actions" (Blender's exporter
    drops it otherwise).
    """
    with writing(path, objects) as file, staged(objects, file.stem, relative=True, fps=fps):
        _fbx(path, file)


def export_glb(path: Path, objects: Sequence[bpy.types.Object], *, fps: float | None = None) -> None:
    """Binary glTF with one morph target per frame, all in one animation. No morph normals: they triple the size."""
    with writing(path, objects) as file, staged(objects, file.stem, relative=True, fps=fps):
        _glb(path, file)


def export_compact(path: Path, objects: Sequence[bpy.types.Object], options: ExportOptions, *,
                   fps: float | None = None) -> list[Pca]:
    """FBX or GLB with a few shape keys that mix into every frame; returns those of each person."""
    with writing(path, objects, 128 * _FRAME_BYTES[path.suffix.lower()]) as file, \
            staged_points(objects, file.stem, options, fps=fps) as (_, mixed):
        (_fbx if path.suffix.lower() == ".fbx" else _glb)(path, file)
    return mixed


def _fbx(path: Path, file: Path) -> None:
    run(path, bpy.ops.export_scene.fbx, filepath=str(file), object_types={"MESH"},
        apply_scale_options="FBX_SCALE_UNITS", bake_space_transform=True, use_mesh_modifiers=False,
        mesh_smooth_type="FACE", bake_anim=True, bake_anim_use_all_actions=False, bake_anim_use_nla_strips=False,
        bake_anim_force_startend_keying=True, bake_anim_simplify_factor=0.0, add_leaf_bones=False, path_mode="COPY",
        embed_textures=True)


def _glb(path: Path, file: Path) -> None:
    run(path, bpy.ops.export_scene.gltf, filepath=str(file), export_format="GLB", use_active_scene=True,
        export_animations=True, export_animation_mode="SCENE", export_anim_scene_split_object=False,
        export_force_sampling=True, export_optimize_animation_size=True, export_morph=True,
        export_morph_normal=False, export_morph_animation=True, export_apply=False, export_cameras=False,
        export_lights=False, export_extras=False)


def export_usd(path: Path, objects: Sequence[bpy.types.Object], *, fps: float | None = None) -> None:
    """USD with moving points (everything reads them, unlike blend shapes), UVs and the texture in `textures/`."""
    with writing(path, objects) as file, staged(objects, file.stem, relative=False, fps=fps, keep_hiding=True):
        run(path, bpy.ops.wm.usd_export, filepath=str(file), export_animation=True, export_shapekeys=False,
             export_armatures=False, export_normals=False, export_uvmaps=True, export_materials=True,
             convert_world_material=False, export_custom_properties=False)


def export_alembic(path: Path, objects: Sequence[bpy.types.Object], *, fps: float | None = None) -> None:
    """Alembic cache of the moving points, with UVs. Blender drops samples of hidden objects, so nobody is hidden."""
    with writing(path, objects) as file, staged(objects, file.stem, relative=False, fps=fps) as scene:
        run(path, bpy.ops.wm.alembic_export, filepath=str(file), start=0, end=scene.frame_end,
             as_background_job=False, uvs=True, normals=False, face_sets=False)


def save_blend(path: Path) -> None:
    """Save the open file as a copy to `path`, compressed. Blender itself writes beside it and renames."""
    path = Path(path)
    with _refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    run(path, bpy.ops.wm.save_as_mainfile, filepath=str(path.absolute()), copy=True, compress=True,
         check_existing=False)


WRITERS: dict[str, Callable] = {".fbx": export_fbx, ".glb": export_glb, ".usdc": export_usd, ".usd": export_usd,
                                ".abc": export_alembic}


def forecast(suffix: str, objects: Sequence[bpy.types.Object]) -> int:
    """Bytes that a file with every frame of these people takes at most."""
    keys: list[int] = [len(ob.data.shape_keys.key_blocks) for ob in objects]
    return sum(keys) * _FRAME_BYTES[suffix.lower()]


@contextlib.contextmanager
def writing(path: Path, objects: Sequence[bpy.types.Object], size: int | None = None) -> Iterator[Path]:
    """Hand out a file name in a hidden folder beside `path`; what was written there moves into place at the end.

    size: bytes to expect, default those of shape keys. Raises ExportError.
    """
    path = Path(path).absolute()
    if not objects or not all(map(takes.is_person, objects)):
        raise ExportError(f"{path}: there is no Pose2Mesh person to export.", "Animate footage first, or select one.")
    need = forecast(path.suffix, objects) if size is None else size
    with _refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if shutil.disk_usage(path.parent).free < need:
            raise OSError(28, "No space left on device")
        with tempfile.TemporaryDirectory(prefix=".pose2mesh-", dir=path.parent) as folder:
            file = Path(folder, path.name)
            yield file
            if not file.is_file() or not file.stat().st_size:
                raise ExportError(f"{path}: Blender wrote nothing.", "Check the free space and the folder's rights.")
            for made in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
                target = path.parent / made.relative_to(folder)
                target.parent.mkdir(exist_ok=True)
                os.replace(made, target)


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Turn the system's refusals into an ExportError that names the file."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def run(path: Path, operator: Callable, **options: object) -> None:
    """Call an exporter quietly; its failure becomes an ExportError."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            result = operator(**options)
    except RuntimeError as error:
        raise _refusal(path, str(error)) from error
    if "FINISHED" not in result:
        raise _refusal(path, "the exporter gave up")


def _refusal(path: Path, reason: str) -> ExportError:
    if "No space left" in reason or "File too large" in reason:
        return ExportError(f"{path}: no space left to write it.", "Free some space or choose another disk.")
    reason = reason.strip().splitlines()[-1].strip()
    return ExportError(f"{path} cannot be written ({reason}).", "Choose a folder you may write to.")
