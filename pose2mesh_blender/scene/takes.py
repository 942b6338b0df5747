"""A take as Blender data: one collection with the camera, the footage behind it, and a moving mesh per person."""
from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

from ..core.body import Body, load_body
from ..core.errors import TakeError
from ..core.measure import height_of
from ..core.take import Take
from . import camera, compat, material, mesh, placing, shape_keys, tracks
from .placing import Placing
from .timing import Timing, rate_of, timing_of

# Custom properties by which operators and exports recognise what is ours.
TAKE, PERSON, FPS, SIZE, RANGE = ("pose2mesh_take", "pose2mesh_person", "pose2mesh_fps", "pose2mesh_size",
                                  "pose2mesh_range")
ROWS, STATE = "pose2mesh_rows", "pose2mesh_state"  # of a person: the take's rows that it shows, the take's state then
HEIGHT = "pose2mesh_height"  # of a person: metres from sole to crown, at scale 1
# Object colours by which people are told apart, well apart also for most who see fewer colours (Okabe and Ito, 2008).
COLOURS = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.94, 0.89, 0.26), (0.0, 0.45, 0.70),
           (0.84, 0.37, 0.0), (0.80, 0.47, 0.65))


def build_take(take: Take, scene: bpy.types.Scene | None = None, *, match_scene: bool = False,
               texture: Path | None = None, body: Body | None = None, relative: bool = False,
               video: Path | None = None) -> bpy.types.Collection:
    """Put a solved take into `scene` (default: the current one) and return its new collection.

    The take's first frame lands on `scene.frame_start`, then one picture of the footage per scene frame; footage of a
    variable rate is placed by its time stamps, as Blender plays it.
    match_scene: also give the scene the footage's frame rate, size, range and camera; otherwise nothing of the
    scene changes but the added collection. texture: image in SMPL's UV layout (default: the bundled one).
    relative: store relative instead of absolute shape keys. video: that a keypoint file was made from (default: one of
    the same name beside it); one of another size is not shown.
    Raises TakeError when the take holds nobody. On any error Blender's data is as before.
    """
    scene = scene or bpy.context.scene
    body = body or load_body()
    people = {person: rows for person in take.people if len(rows := present(take, person))}
    if not people:
        raise TakeError(f"{take.folder}: no person was found in this take.",
                        "Use footage that shows a whole person, or animate it again.")
    texture = texture or material.default_texture()
    before = _data()
    try:
        name = _take_name(Path(take.footage.get("path") or take.folder.name).stem)
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        collection[TAKE] = str(take.folder)
        ob, timing = _camera(take, name, scene, video)
        collection.objects.link(ob)
        collection[FPS] = timing.fps
        collection[SIZE] = take.image_size
        collection[RANGE] = timing.range
        collection[placing.WORLD] = take.world_from_camera.ravel().tolist()
        for number, (person, rows) in enumerate(people.items(), 1):
            ob = _person(take, person, rows, f"{name} Person {number:02d}", body, texture, timing,
                         Placing(take.world_from_camera[None]))
            ob.color = (*COLOURS[(number - 1) % len(COLOURS)], 1.0)
            collection.objects.link(ob)
            if relative:
                shape_keys.to_relative(ob)
        clip = clip_of(collection)
        if clip:
            for person in people:
                tracks.write(clip, take, person)
    except BaseException:
        bpy.data.batch_remove(_data() - before)
        raise
    if match_scene:
        match_scene_to_take(scene, collection)
    return collection


def match_scene_to_take(scene: bpy.types.Scene, collection: bpy.types.Collection) -> None:
    """Give the scene the take's frame rate, picture size, frame range and camera."""
    set_fps(scene, collection[FPS])
    scene.render.resolution_x, scene.render.resolution_y = (int(v) for v in collection[SIZE])
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = (int(v) for v in collection[RANGE])
    scene.camera = take_camera(collection)
    scene.frame_set(scene.frame_start)


def scene_matches(scene: bpy.types.Scene, collection: bpy.types.Collection) -> bool:
    """Whether `match_scene_to_take` would change nothing that is seen."""
    render = scene.render
    return (abs(render.fps / render.fps_base - collection[FPS]) < 0.01
            and (render.resolution_x, render.resolution_y) == tuple(collection[SIZE])
            and (scene.frame_start, scene.frame_end) == tuple(collection[RANGE])
            and scene.camera == take_camera(collection))


def set_fps(scene: bpy.types.Scene, fps: float) -> None:
    """Any frame rate as Blender's whole number over a base: 29.97 is 30 / 1.001."""
    whole = max(1, round(fps))
    scene.render.fps, scene.render.fps_base = whole, whole / fps


def people_of(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    """The persons' mesh objects in a take's collection."""
    return [ob for ob in collection.all_objects if is_person(ob)]


def is_person(ob: bpy.types.Object | None) -> bool:
    return bool(ob) and ob.type == "MESH" and ob.get(PERSON) is not None and ob.data.shape_keys is not None


def take_camera(collection: bpy.types.Collection) -> bpy.types.Object | None:
    return next((ob for ob in collection.all_objects if ob.type == "CAMERA"), None)


def clip_of(collection: bpy.types.Collection) -> bpy.types.MovieClip | None:
    """The clip behind the take, or another one that carries its markers; None for keypoint files without a video."""
    camera_object = take_camera(collection)
    for background in camera_object.data.background_images if camera_object else ():
        if background.source == "MOVIE_CLIP" and background.clip:
            return background.clip
    return next((tracked.clip for tracked in tracks.tracked_anywhere(collection[TAKE])), None)


def collection_of(ob: bpy.types.Object) -> bpy.types.Collection | None:
    """The take that an object belongs to."""
    return next((c for c in bpy.data.collections if c.get(TAKE) and ob.name in c.all_objects), None)


def takes_in(scene: bpy.types.Scene) -> list[bpy.types.Collection]:
    """The collections of takes in `scene`, in the order of the outliner."""
    return [c for c in scene.collection.children_recursive if c.get(TAKE)]


def present(take: Take, person: int) -> np.ndarray:
    """Rows of the take (N,) in which the person has a finished mesh."""
    if not take.has_mesh(person):
        return np.zeros(0, np.int64)
    return np.flatnonzero(take.done & np.isfinite(take.translation(person)).all(1))


def add_person(collection: bpy.types.Collection, take: Take, person: int, like: bpy.types.Object | None = None,
               texture: Path | None = None) -> bpy.types.Object:
    """A person who came into a take that is in the scene already: a mesh, and markers on the clip.

    like: whose name, material, colour, size and storage the newcomer takes over.
    """
    body, rows = load_body(), present(take, person)
    if not len(rows):
        raise TakeError(f"{take.folder}: {take.name(person)} is in no frame.", "Animate the footage again.")
    number = 1 + len(people_of(collection))
    where = placing_of(collection, like, take)
    ob = _person(take, person, rows, f"{collection.name} Person {number:02d}", body, texture or
                 material.default_texture() if like is None else None, timing_in(collection, take), where)
    ob.color = (*COLOURS[(number - 1) % len(COLOURS)], 1.0)
    collection.objects.link(ob)
    if like is not None:
        made = ob.data.materials[0]
        ob.data.materials.clear()
        bpy.data.materials.remove(made)
        for kept in like.data.materials:
            ob.data.materials.append(kept)
        ob.color = like.color
        ob[placing.SCALE] = placing.scale_of(like)
        if like.data.shape_keys.use_relative:
            shape_keys.to_relative(ob)
    clip = clip_of(collection)
    if clip:
        tracks.write(clip, take, person)
    return ob


def timing_in(collection: bpy.types.Collection, take: Take) -> Timing:
    """When a take that is in the scene shows its rows."""
    clip = clip_of(collection)
    return timing_of(take, int(collection[RANGE][0]), rate_of(take, clip))


def placing_of(collection: bpy.types.Collection, ob: bpy.types.Object | None, take: Take) -> Placing:
    """Where the collection shows its take, and how large this person."""
    worlds = placing.worlds_of(collection, take.world_from_camera, clip_of(collection),
                               timing_in(collection, take).frames)
    return Placing(worlds, placing.scale_of(ob) if ob else 1.0)


def _person(take: Take, person: int, rows: np.ndarray, name: str, body: Body, texture: Path | None,
            timing: Timing, where: Placing) -> bpy.types.Object:
    """Mesh object: location curves carry the pelvis through the world, shape keys the pose around it."""
    first = next(posed(take, person, rows, where))
    data = mesh.new_mesh(name, first, body.faces, body.vt, body.ft)
    data.materials.append(material.new_material(name, texture))
    ob = bpy.data.objects.new(name, data)
    ob[PERSON], ob[FPS], ob[HEIGHT] = person, timing.fps, height_of(take, person)
    animate(ob, take, rows, timing, where)
    return ob


def animate(ob: bpy.types.Object, take: Take, rows: np.ndarray, timing: Timing, where: Placing | None = None) -> None:
    """Give a person's object, which has no animation, its location curves and shape keys. rows: see `present`."""
    frames, person = timing.frames[rows], int(ob[PERSON])
    shape_keys.add_keys(ob, frames, posed(take, person, rows, where), ob.name, shape_keys.gaps(rows))
    places = placed(take, person, rows, where)
    ob.location = places[0]
    bag = compat.new_action(ob, ob.name)
    for axis in range(3):
        compat.add_curve(bag, "location", frames, places[:, axis], index=axis)
    _hide_while_absent(bag, timing.frames, np.isin(np.arange(len(take)), rows))
    ob[ROWS], ob[STATE] = rows.tolist(), tracks.state_of(take)


def posed(take: Take, person: int, rows: np.ndarray, where: Placing | None = None) -> Iterator[np.ndarray]:
    """(6890, 3) per row: the mesh round its pelvis, in the scene's axes."""
    where, stored = where or Placing(take.world_from_camera[None]), take.vertices(person)
    for row in rows:
        yield stored[row] @ where.turn(row).T


def placed(take: Take, person: int, rows: np.ndarray, where: Placing | None = None) -> np.ndarray:
    """(N, 3) the pelvis in the scene."""
    where = where or Placing(take.world_from_camera[None])
    return where.places(rows, take.translation(person)[rows]).astype(np.float32)


def _hide_while_absent(bag: bpy.types.ActionChannelbag, frames: np.ndarray, here: np.ndarray) -> None:
    """Key the person's visibility where it changes; no curve at all for somebody who is always there."""
    if here.all():
        return
    changes = np.flatnonzero(np.append(True, here[1:] != here[:-1]))
    for path in ("hide_viewport", "hide_render"):
        compat.add_curve(bag, path, frames[changes], ~here[changes], interpolation=compat.CONSTANT)


def _camera(take: Take, name: str, scene: bpy.types.Scene, video: Path | None) -> tuple[bpy.types.Object, Timing]:
    """Camera with the footage, and when that shows the take's frames."""
    render = scene.render
    aspect = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    ob = camera.new_camera(f"{name} Camera", take.intrinsics, take.image_size, take.world_from_camera, aspect)
    path = _pictures(take, video)
    clip = camera.load_footage(path) if path else None
    if clip and take.footage.get("kind") == "keypoints" and tuple(clip.size) != take.image_size:
        bpy.data.movieclips.remove(clip)
        clip = None
    timing = timing_of(take, scene.frame_start, rate_of(take, clip))
    if clip:
        camera.show_footage(ob, camera.place_clip(clip, timing.clip_start))
    return ob, timing


def _pictures(take: Take, video: Path | None) -> Path | None:
    """What the take was made from; of a keypoint file `video`, or one of the same name beside it."""
    path = take.footage.get("path")
    if not path or take.footage.get("kind") != "keypoints":
        return Path(path) if path else None
    if video is not None:
        return video
    beside = (p for p in Path(path).parent.glob(f"{glob.escape(Path(path).stem)}.*"))
    return next((p for p in sorted(beside) if p.suffix.lower() in bpy.path.extensions_movie), None)  # type: ignore[attr-defined]


def _take_name(stem: str) -> str:
    """"<Clip> Take 001", counted up past the takes that exist; Blender cuts names at 63 bytes."""
    stem = stem.encode("utf-8", "replace")[:36].decode("utf-8", "ignore")
    number = 1
    while f"{stem} Take {number:03d}" in bpy.data.collections:
        number += 1
    return f"{stem} Take {number:03d}"


def _data() -> set[bpy.types.ID]:
    """Everything `build_take` may add, to take it back after an error."""
    data = bpy.data
    return {block for group in (data.collections, data.objects, data.meshes, data.cameras, data.materials, data.images,
                                data.actions, data.movieclips) for block in group}
