"""Exported characters in three.js and Godot, in headless Chromium, beside Blender's render through the same camera.

python tests/page_pictures.py TAKE FILE... -o SHEET.png   (make page-pictures does it with the demo clip)
"""
from __future__ import annotations

import argparse
import base64
import json
import subprocess
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
from fbx_readers import install_node_readers
from mathutils import Matrix

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.scene import takes
from pose2mesh_blender.scene.fresh import fresh_file
from pose2mesh_blender.scene.sampling import Y_UP, Z_UP

BROWSER = Path(__file__).with_name("browser")
GREY, SUN, AMBIENT = 0x80, 0.8, 0.35  # as in browser/player.js and browser/godot/main.gd
SIZE = (210, 290)


@dataclass(frozen=True)
class View:
    """A camera: metres, y up; fov in degrees from bottom to top."""

    eye: list[float]
    target: list[float]
    fov: float = 35.0


@dataclass(frozen=True)
class Shown:
    """One file in the browser at some times."""

    pictures: list[np.ndarray]  # (H, W, 3) BGR
    corners: list[np.ndarray]  # (C, 3) metres, y up: of every triangle, in the page's own skinning


def view_of(points: np.ndarray, side: float = 30.0, up: float = 8.0) -> View:
    """The nearest view that holds all `points` (..., 3), y up, from the front (+z), `side` degrees to its right."""
    points = points.reshape(-1, 3)
    side, up = np.radians([side, up])
    target = (points.min(0) + points.max(0)) / 2
    axes = _axes(np.array([np.sin(side) * np.cos(up), np.sin(up), np.cos(side) * np.cos(up)]))
    x, y, z = ((points - target) @ axes).T
    half = 0.93 * np.tan(np.radians(View.fov / 2))
    far = max((np.abs(x) / (half * SIZE[0] / SIZE[1]) + z).max(), (np.abs(y) / half + z).max())
    return View((target + far * axes[:, 2]).tolist(), target.tolist())


def page_pictures(files: list[Path], times: list[float], view: View, size: tuple[int, int] = SIZE) -> list[Shown]:
    """What the page in tests/browser shows of each file."""
    node, folder = install_node_readers(BROWSER)
    with tempfile.TemporaryDirectory() as out:
        spec = Path(out, "spec.json")
        spec.write_text(json.dumps({"files": [str(f.absolute()) for f in files], "times": times, "view": asdict(view),
                                    "size": size, "out": out}))
        run = subprocess.run([node, str(folder / "shoot.mjs"), str(spec)], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr
        names = [[Path(out, f"{k}_{n}") for n in range(len(times))] for k in range(len(files))]
        return [Shown([_read(name.with_suffix(".png")) for name in row],
                      [np.fromfile(name.with_suffix(".bin"), np.float32).reshape(-1, 3) for name in row])
                for row in names]


def import_in_godot(file: Path, times: list[float], fps: float, view: View, size: tuple[int, int] = SIZE
                    ) -> tuple[dict, Shown]:
    """What Godot 4's own importer makes of a GLB or FBX and shows; the facts are those of browser/godot/main.gd."""
    node, folder = install_node_readers(BROWSER)
    with tempfile.TemporaryDirectory() as out:
        project = Path(out, "project.zip")
        with zipfile.ZipFile(project, "w") as pack:
            for part in sorted((folder / "godot").iterdir()):
                pack.write(part, part.name)
            pack.write(file, f"character{file.suffix}")
            pack.writestr("spec.json", json.dumps({"file": f"character{file.suffix}", "times": times, "fps": fps,
                                                   "view": asdict(view)}))
        run = subprocess.run([node, str(folder / "godot.mjs"), str(project), *map(str, size)], capture_output=True,
                             text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    facts = json.loads(run.stdout)
    pictures, corners = [], []
    for one in facts.pop("shown"):
        pictures.append(cv2.imdecode(np.frombuffer(base64.b64decode(one["picture"]), np.uint8), cv2.IMREAD_COLOR))
        triangles = np.frombuffer(base64.b64decode(one["corners"]), np.float32).reshape(-1, 3, 3)
        # Godot's triangles run clockwise; its importers of the two formats turn them round in two ways
        corners.append(triangles[:, [2, 1, 0] if file.suffix == ".fbx" else [0, 2, 1]].reshape(-1, 3))
    return facts, Shown(pictures, corners)


def blender_pictures(take: Take, person: int, rows: list[int], view: View, size: tuple[int, int] = SIZE
                     ) -> list[np.ndarray]:
    """Cycles' pictures (H, W, 3) BGR of a person's shape-key mesh, lit as in the page, without shadows.

    The open file is lost.
    """
    collection = fresh_file(take)
    scene: Any = bpy.context.scene
    people = takes.people_of(collection)
    chosen = people[take.people.index(person)]
    for ob in list(scene.collection.all_objects):
        if ob != chosen:
            bpy.data.objects.remove(ob)
    for slot in chosen.material_slots:
        surface: Any = next(n for n in slot.material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
        surface.inputs["Specular IOR Level"].default_value = 0
    chosen.visible_shadow = chosen.visible_diffuse = False
    place = np.eye(4)
    place[:3, :3] = Z_UP @ _axes(np.subtract(view.eye, view.target))
    place[:3, 3] = Z_UP @ view.eye
    camera: Any = bpy.data.cameras.new("view")
    camera.sensor_fit, camera.angle, camera.clip_start = "VERTICAL", np.radians(view.fov), 0.01
    sun: Any = bpy.data.lights.new("eye", "SUN")
    sun.energy, sun.angle = SUN * np.pi, 0
    for name, data in (("view", camera), ("eye", sun)):
        ob = bpy.data.objects.new(name, data)
        ob.matrix_world = Matrix(place.tolist())
        scene.collection.objects.link(ob)
    scene.camera = scene.objects["view"]
    scene.world = bpy.data.worlds.new("even")
    if bpy.app.version < (5, 0):
        scene.world.use_nodes = True
    background = next(n for n in scene.world.node_tree.nodes if n.type == "BACKGROUND")
    background.inputs["Color"].default_value, background.inputs["Strength"].default_value = (1, 1, 1, 1), AMBIENT
    render = scene.render
    render.engine, render.film_transparent, render.dither_intensity = "CYCLES", True, 0
    render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = 16, False, 0
    frames = takes.timing_in(collection, take).frames
    pictures = []
    with tempfile.TemporaryDirectory() as out:
        for row in rows:
            scene.frame_set(round(float(frames[row])))
            render.filepath = str(Path(out, f"{row}.png"))
            bpy.ops.render.render(write_still=True)
            shown = cv2.imread(render.filepath, cv2.IMREAD_UNCHANGED).astype(float)
            cover = shown[..., 3:] / 255
            pictures.append(np.round(shown[..., :3] * cover + GREY * (1 - cover)).astype(np.uint8))
    return pictures


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference of two pictures' channels, 0..255, where either shows more than the grey around a person."""
    person = (np.abs(np.stack([a, b]).astype(int) - GREY).max(-1) > 6).any(0)
    return float(np.abs(a.astype(int) - b)[person].mean())


def sheet(columns: dict[str, list[np.ndarray]], rows: list[str]) -> np.ndarray:
    """A picture with a named column per program and a named row per moment."""
    picture = np.hstack([np.vstack(pictures) for pictures in columns.values()])
    height, width = np.array(picture.shape[:2]) // (len(rows), len(columns))
    head = np.full((24, picture.shape[1], 3), 48, np.uint8)
    for k, name in enumerate(columns):
        _write(head, name, k * width + 6, 16)
    for k, name in enumerate(rows):
        _write(picture, name, 6, k * height + 16)
    return np.vstack([head, picture])


def world_points(take: Take, person: int, row: int) -> np.ndarray:
    """(6890, 3) where the take has the mesh, metres, y up."""
    world = take.world_from_camera
    return ((take.vertices(person)[row] + take.translation(person)[row]) @ world[:3, :3].T + world[:3, 3]) @ Y_UP.T


def _axes(back: np.ndarray) -> np.ndarray:
    """(3, 3) right, up and back as columns, of a camera that stands upright, y up."""
    back = back / np.linalg.norm(back)
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back], 1)


def _write(picture: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)


def _read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("take", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    take = Take.open(options.take)
    person = take.people[0]
    rows = [len(take) // 6, len(take) // 2, 5 * len(take) // 6]
    times = [float(take.timestamps[row] - take.timestamps[0]) for row in rows]
    points = np.array([world_points(take, person, row) for row in rows])
    view = view_of(points)
    in_three = page_pictures(options.files, times, view)
    shown = {f"three.js, {file.name}": one for file, one in zip(options.files, in_three)}
    for file in options.files:
        facts, one = import_in_godot(file, times, take.fps, view)
        shown[f"Godot {facts['version'].split('-')[0]}, {file.name}"] = one
    columns = {"Blender, shape keys": blender_pictures(take, person, rows, view)}
    corners = load_body().faces.ravel()
    for name, one in shown.items():
        columns[name] = one.pictures
        gap = 1000 * max(np.linalg.norm(c - p[corners], axis=1).max() for c, p in zip(one.corners, points))
        colour = max(map(difference, one.pictures, columns["Blender, shape keys"]))
        print(f"{name}: vertices off by at most {gap:.1f} mm, pictures by {colour:.1f} of 255 on average")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(options.output), sheet(columns, [f"frame {row}" for row in rows]), [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
