"""A still mesh that a shader moves: person to vertex animation textures."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..core.presets import ExportOptions
from ..core.vat import index_uv, write_vat
from . import rig, takes
from .export import run, writing
from .sampling import Z_UP, world_points
from .staging import frame_range
from .temporary import call, entered, temporary_scene

UV = "vat"
_FRAME_BYTES = 6890 * 3 * 6


def export_vat(path: Path, ob: bpy.types.Object, options: ExportOptions, *, fps: float | None = None) -> list[Path]:
    """Writes a still mesh (.glb or .fbx, its first frame) with an index UV set, and the textures beside it.

    The mesh has y up and metres as the textures do. Raises ExportError. Returns all paths.
    """
    source = bpy.context.scene
    frames = rig.frames_of(*frame_range([ob], source), options)
    points = world_points(ob, frames)
    rate = (fps or ob.get(takes.FPS) or source.render.fps / source.render.fps_base) / options.step
    faces = np.empty(3 * len(ob.data.polygons), np.int32)
    ob.data.polygons.foreach_get("vertices", faces)
    with temporary_scene(path.stem, rate, len(frames)) as (scene, made, renamed):
        data = bpy.data.meshes.new_from_object(ob, preserve_all_data_layers=True)
        made.append(data)
        mesh = bpy.data.objects.new(ob.name, data)
        made.append(mesh)
        scene.collection.objects.link(mesh)
        call(mesh, ob.name, renamed)
        call(data, ob.name, renamed)
        is_fbx = path.suffix.lower() == ".fbx"
        position: Any = data.attributes["position"]
        position.data.foreach_set("vector", (points[0] if is_fbx else points[0] @ Z_UP.T).astype(np.float32).ravel())
        data.update()
        if is_fbx:  # the data has y up itself
            mesh.matrix_world = Matrix(Z_UP.tolist()).to_4x4()
        layer = data.uv_layers.new(name=UV, do_init=False)
        uv = index_uv(len(data.vertices), len(frames))
        uv[:, 1] = 1 - uv[:, 1]  # Blender counts from the bottom, glTF's exporter turns it back
        layer.uv.foreach_set("vector", uv[faces].astype(np.float32).ravel())
        with writing(path, [ob], len(frames) * _FRAME_BYTES + 4_000_000) as file, entered(scene):
            if is_fbx:
                run(path, bpy.ops.export_scene.fbx, filepath=str(file), object_types={"MESH"}, use_selection=False,
                    apply_scale_options="FBX_SCALE_UNITS", use_mesh_modifiers=False, mesh_smooth_type="FACE",
                    bake_anim=False, path_mode="COPY", embed_textures=True)
            else:
                run(path, bpy.ops.export_scene.gltf, filepath=str(file), export_format="GLB", use_active_scene=True,
                    export_animations=False, export_cameras=False, export_lights=False, export_extras=False)
            written = write_vat(file.parent, path.stem, points, faces.reshape(-1, 3), rate, path.name)
    return [path, *(path.parent / p.name for p in written)]
