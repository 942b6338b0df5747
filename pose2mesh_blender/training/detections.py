"""Pairs of what our detectors answer and what is true, from rendered sequences of dressed bodies in mocap poses.

    python -m pose2mesh_blender.training.detections --mocap cmu.npz --to pairs/train.npz --sequences 200
    python -m pose2mesh_blender.training.detections --mocap cmu.npz --to pairs/test.npz --sequences 80 --held-out

Each sequence is one clip of motion at 30 fps with a body shape, clothes, a room, a light, a camera and a film of its
own. It is drawn (`render.py`) and given to the product's own estimator, which starts from the true box and then follows
the person by itself, in both presets. Every finished sequence is a file in `NAME.parts`, so the command goes on where
it stopped, and several may run at once (--worker 0/2, --worker 1/2); the one that finds all parts finished joins them.
"""
from __future__ import annotations

import argparse
import io
import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..core.body import Body, load_body
from ..core.camera import intrinsics_from_focal, project
from ..core.detection.estimator import PersonKeypoints, PoseEstimator
from ..core.detection.movenet import keypoint_box
from ..core.files import write_file
from ..core.network import joints as J
from ..core.skeletons import BODY23_FLIP, SMPL24_PARENTS
from .render import EMPTY, Film, Light, Renderer, Room, background
from .sequences import PointSkinner
from .synthetic import (
    LEGS,
    MIRROR,
    SMPL_FLIP,
    Motion,
    axis_angle_to_matrix,
    camera_angles,
    global_rotations,
    load_motion,
    random_shapes,
    seated,
    tipped,
    view_rotations,
)
from .wardrobe import Wardrobe

FPS = 30.0
PRESETS = ("accurate", "fast")
SIZES = ((640, 480), (480, 640), (800, 450), (450, 800), (600, 600))
# Metres that a visible keypoint may lie below the surface that is drawn there: half the limb's thickness and the cloth.
UNDER = np.array([.06, .06, .06, .07, .07, .15, .15, .10, .10, .09, .09, .19, .19, .12, .12, .11, .11] + [.08] * 6,
                 np.float32)


@dataclass
class Shot:
    """One sequence, ready to be drawn. T + 1 poses: the last one only tells how fast the one before moves."""

    vertices: list[np.ndarray]  # per person (T + 1, 6890, 3) camera space; the first person is the one who counts
    points: np.ndarray  # (T, 71, 3) the first person's lift points, camera space, metres
    rotations: np.ndarray  # (T, 24, 3, 3) global, camera axes
    shape: np.ndarray  # (K,)
    turns: np.ndarray  # (T, 3, 3) world -> camera
    places: np.ndarray  # (T, 3) of the camera
    focal: float
    size: tuple[int, int]
    frames: np.ndarray  # (T,) rows of the motion
    low: np.ndarray  # (3,) what the room must hold, world axes
    high: np.ndarray


class Studio:
    """Draws sequences and runs the estimators on them."""

    def __init__(self, body: Body, motion: Motion, backgrounds: list[np.ndarray], length: int = 24) -> None:
        self.body, self.motion, self.backgrounds, self.length = body, motion, backgrounds, length
        self.renderer, self.wardrobe = Renderer(body), Wardrobe(body)
        self.estimators = {preset: PoseEstimator(preset, "cpu", max_people=2) for preset in PRESETS}
        ends = np.append(np.flatnonzero(np.diff(motion.clip)) + 1, len(motion.clip))
        self._end = ends[motion.clip]  # one past the last frame of each frame's clip

    def plan(self, rng: np.random.Generator) -> Shot:
        """Motion, shape and camera of a sequence."""
        size = SIZES[rng.integers(len(SIZES))]
        local, frames = self._clip(rng)
        shape = random_shapes(rng, 1, len(self.body.shapedirs))
        lean = axis_angle_to_matrix(rng.normal(0, 1.2, 3).astype(np.float32)) if rng.random() < .02 else np.eye(3)
        path = self.motion.root[frames] - self.motion.root[frames[:-1]].mean(0)
        rotations, vertices, points = self._posed(local, shape, lean, path)
        crowd = [vertices]
        view = (view_rotations(camera_angles(rng, 1)) @ tipped(rng, 1))[0]
        share = np.exp(rng.uniform(np.log(.4), np.log(1.0))) if rng.random() < .88 else rng.uniform(1, 1.7)
        fov = np.radians(rng.uniform(22, 85))
        focal = max(size) / 2 / np.tan(fov / 2)
        distance = float(np.clip(focal * 1.7 / (share * size[1]), 1.4, 14))
        focal = share * size[1] * distance / 1.7
        aim = rng.uniform(-.22, .22, 2) if rng.random() < .85 else rng.uniform(-.5, .5, 2)
        ray = np.append(aim * size / focal, 1.0) * distance
        follow = rng.choice([0, rng.uniform(.5, 1)], p=[.6, .4])
        target = follow * _smooth(path[:-1]) + _sway(rng, self.length, rng.choice([0, .02, .08]))
        places = target - ray @ view
        turns = axis_angle_to_matrix(_sway(rng, self.length, rng.choice([0, .004, .02])).astype(np.float32)) @ view
        if rng.random() < .12:
            crowd.append(self._passer_by(rng, view, distance))
        turns_next = np.concatenate([turns, turns[-1:]])
        places_next = np.concatenate([places, 2 * places[-1:] - places[-2:-1]])
        seen = [np.einsum("tab,tvb->tva", turns_next, person - places_next[:, None]).astype(np.float32)
                for person in crowd]
        corners = np.concatenate([*(person.reshape(-1, 3) for person in crowd), places - [0, .15, 0]])
        return Shot(seen, np.einsum("tab,tvb->tva", turns, points[:-1] - places[:, None]).astype(np.float32),
                    (turns[:, None] @ rotations[:-1]).astype(np.float32), shape[0], turns, places, focal, size,
                    frames[:-1], corners.min(0), corners.max(0))

    def _clip(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Local rotations (T + 1, 24, 3, 3) and their rows: a piece round a distinct pose, sometimes changed."""
        m, n = self.motion, self.length + 1
        while True:
            middle = rng.choice(m.distinct) if rng.random() < .5 else rng.integers(len(m.local))
            first = middle - rng.integers(n)
            if first >= 0 and m.clip[first] == m.clip[middle] and first + n <= self._end[middle]:
                break
        frames = np.arange(first, first + n)
        local = m.local[frames].copy()
        if rng.random() < .06:
            local[:, LEGS] = seated(1, rng)
        if rng.random() < .5:
            offset = rng.normal(size=(24, 3)) * rng.uniform(0, .18)
            local = local @ axis_angle_to_matrix(offset.astype(np.float32))
        curl = np.zeros((2, 3), np.float32)
        curl[:, 2] = -rng.uniform(0, .7), rng.uniform(0, .7)
        local[:, 22:24] = axis_angle_to_matrix(curl)
        if rng.random() < .5:
            local = MIRROR @ local[:, SMPL_FLIP] @ MIRROR
        return local, frames

    def _posed(self, local: np.ndarray, shape: np.ndarray, lean: np.ndarray, path: np.ndarray
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Global rotations (N, 24, 3, 3), vertices (N, 6890, 3) and lift points (N, 71, 3), world axes."""
        local = local.copy()
        local[:, 0] = lean.astype(np.float32) @ local[:, 0]
        rotations = global_rotations(local)
        vertices, joints = self.body.pose(rotations, np.repeat(shape, len(local), 0))
        root = joints[:, :1] - path[:, None]
        pelvis = self.body.regress("h36m17", vertices)[:, :1]
        points = J.lift_points(vertices, joints, self.body) + pelvis - root
        return rotations, vertices - root, points

    def _passer_by(self, rng: np.random.Generator, view: np.ndarray, distance: float) -> np.ndarray:
        """Vertices (T + 1, 6890, 3) of somebody else, mostly nearer to the camera and partly in the way."""
        local, frames = self._clip(rng)
        depth = distance * (rng.uniform(.45, .85) if rng.random() < .6 else rng.uniform(1.1, 1.6)) - distance
        beside = rng.choice([-1, 1]) * rng.uniform(.15, .7)
        path = self.motion.root[frames] - self.motion.root[frames].mean(0)
        turn = axis_angle_to_matrix(np.float32([0, rng.uniform(-np.pi, np.pi), 0]))
        vertices = self._posed(local, random_shapes(rng, 1, len(self.body.shapedirs)), turn, path @ turn.T)[1]
        ahead = view[2] * [1, 0, 1]
        ahead /= max(np.linalg.norm(ahead), 1e-6)
        return vertices + ahead * depth + view[0] * [1, 0, 1] * beside

    def film(self, shot: Shot, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """The pictures (H, W, 3) uint8 RGB, and how far each body23 keypoint lies behind what is drawn there (T, 23).

        Metres; NaN outside the picture.
        """
        draw, t = self.renderer, self.length
        looks = [self.wardrobe.look(rng) for _ in shot.vertices]
        room = Room.any(shot.low, shot.high, rng)
        if self.backgrounds and rng.random() < .3:
            room.picture = _cropped(self.backgrounds[rng.integers(len(self.backgrounds))], shot.size, rng)
        draw.furnish(looks, room)
        light, film = Light.any(rng), Film.any(rng)
        open_for = rng.uniform(.2, .6) if rng.random() < .25 else 0.0  # share of the frame that the shutter is open
        board = Board.any(shot, rng) if rng.random() < .08 else None
        pixels = project(shot.points[:, J.BODY], intrinsics_from_focal(*shot.size, shot.focal))
        images, behind = [], np.full((t, 23), np.nan, np.float32)
        for i in range(t):
            exposures = []
            for moment in (-.5, 0, .5) if open_for else (0,):
                people = [draw.dressed(v[i] + moment * open_for * (v[i + 1] - v[i]), look)
                          for v, look in zip(shot.vertices, looks)]
                exposures.append(draw.draw(people, shot.focal, shot.size, light, shot.turns[i], shot.places[i]))
                if moment == 0:
                    depth = draw.depth(people, shot.focal, shot.size).copy()
            image = np.mean(exposures, 0).astype(np.uint8) if open_for else exposures[0]
            if board is not None:
                board.put(image, depth, i)
            images.append(image)
            behind[i] = _behind(depth, pixels[i], shot.points[i, J.BODY, 2])
        return film.develop(images, rng, FPS), behind

    def detect(self, preset: str, images: list[np.ndarray], pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the estimator says of the person whose true keypoints are pixels (T, 23, 2): (T, 23, 3) px, px,
        confidence; NaN, NaN, 0 for what is absent, all of it where the person is lost."""
        estimator = self.estimators[preset]
        keypoints = np.column_stack([pixels[0, :17], np.full(17, .7)]).astype(np.float32)
        box = keypoint_box(keypoints, np.zeros(4)).tolist()
        estimator.from_state({"figures": [{"keypoints": keypoints.tolist(), "box": box, "score": .7, "age": 10,
                                           "before": None}],
                              "since_look": int(rng.integers(10)), "looks": 2, "looks_for_lost": 0})
        out = np.full((len(images), 23, 3), np.nan, np.float32)
        out[..., 2] = 0
        for row, image, truth in zip(out, images, pixels):
            found = _nearest(estimator.estimate(image), truth)
            if found is not None:
                row[:] = found
        return out

    def sequence(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """All of one sequence, as `main` stores it."""
        shot = self.plan(rng)
        images, behind = self.film(shot, rng)
        intrinsics = intrinsics_from_focal(*shot.size, shot.focal)
        pixels = project(shot.points[:, J.BODY], intrinsics)
        return {**{preset: self.detect(preset, images, pixels, rng) for preset in PRESETS},
                "points": shot.points, "behind": behind.astype(np.float16), "visible": behind < UNDER,
                "intrinsics": intrinsics, "image_size": np.array(shot.size),
                "timestamps": np.arange(self.length) / FPS, "rotations": shot.rotations.astype(np.float16),
                "shape": shot.shape, "frames": shot.frames}


@dataclass
class Board:
    """Something in front of everything: a striped quadrangle that stays or moves along."""

    corners: np.ndarray  # (T, 4, 2) pixels
    colours: np.ndarray  # (2, 3)

    @classmethod
    def any(cls, shot: Shot, rng: np.random.Generator) -> Board:
        width, height = shot.size
        pixels = project(shot.points[:, J.BODY], intrinsics_from_focal(width, height, shot.focal))
        low, high = pixels.min((0, 1)), pixels.max((0, 1))
        centre = low + (high - low) * rng.uniform([0, .25], [1, 1])
        half = (high - low).max() * rng.uniform(.08, .3, 2)
        quad = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + rng.normal(0, .1, (4, 2)) * half
        drift = rng.normal(0, .002, 2) * max(shot.size) * np.arange(len(pixels))[:, None]
        return cls(centre + drift[:, None] + quad, rng.uniform(0, 255, (2, 3)))

    def put(self, image: np.ndarray, depth: np.ndarray, frame: int) -> None:
        """Draws into both, in place."""
        mask = np.zeros(depth.shape, np.uint8)
        cv2.fillConvexPoly(mask, np.rint(self.corners[frame]).astype(np.int32), (1,))
        rows, columns = np.nonzero(mask)
        image[rows, columns] = self.colours[(rows // 17) % 2]
        depth[rows, columns] = 0.2


def _behind(depth: np.ndarray, pixels: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(23,) metres from the nearest surface drawn round each pixel to the point z (23,); NaN outside the picture."""
    height, width = depth.shape
    out = np.full(len(z), np.nan, np.float32)
    for j, (x, y) in enumerate(np.floor(pixels).astype(int)):
        if 0 <= x < width and 0 <= y < height:
            drawn = np.median(depth[max(0, y - 1):y + 2, max(0, x - 1):x + 2])
            out[j] = z[j] - drawn if drawn < EMPTY else 0.0
    return out


def _nearest(people: list[PersonKeypoints], truth: np.ndarray) -> np.ndarray | None:
    """The (23, 3) of who is meant by truth (23, 2) pixels, sides not told apart; None when nobody is near."""
    size, best, chosen = float(np.ptp(truth, 0).max()), np.inf, None
    for person in people:
        off = min(float(np.median(np.hypot(*(person.keypoints[:17, :2] - truth[order]).T)))
                  for order in (np.arange(17), BODY23_FLIP[:17]))
        if off < min(best, .3 * size):
            best, chosen = off, person.keypoints
    return chosen


def _sway(rng: np.random.Generator, length: int, size: float) -> np.ndarray:
    """(T, 3) slow movement of a hand that holds a camera."""
    t = np.arange(length)[:, None, None] / FPS
    waves = np.sin(2 * np.pi * (rng.uniform(.2, 1.5, (3, 3)) * t + rng.random((3, 3))))
    return size * (waves * rng.normal(size=(3, 3))).sum(1) / 2


def _smooth(path: np.ndarray) -> np.ndarray:
    """(T, 3) straight line through a path: how a camera follows."""
    t = np.arange(len(path))
    return np.stack([np.polyval(np.polyfit(t, axis, 1), t) for axis in path.T], 1)


def _cropped(image: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random part of a picture, at size W, H."""
    width, height = size
    scale = max(width / image.shape[1], height / image.shape[0]) * rng.uniform(1, 1.6)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left = (int(rng.integers(0, spare + 1)) for spare in (max(0, image.shape[0] - height),
                                                               max(0, image.shape[1] - width)))
    image = cv2.resize(image[top:top + height, left:left + width], size)
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < .5 else image)


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def join(parts: list[Path], target: Path) -> None:
    """Stacks the sequences' files into one: every array gets a first axis of sequences."""
    loaded = []
    for path in parts:
        with np.load(path) as z:
            loaded.append({name: z[name] for name in z.files})
    write_file(target, _packed({name: np.stack([part[name] for part in loaded]) for name in loaded[0]}))


# -- a small copy for measuring ---------------------------------------------------------------------------------------
_ABSENT = -32768


def shrink(source: Path, target: Path) -> None:
    """A copy of a joined file in 16 bits, without what follows from the rest; `load` reads both.

    Keypoints to 1/16 pixel, scores to 1/255, local rotation vectors to 0.1 mrad (the points follow to about 1 mm).
    """
    with np.load(source) as z:
        out = {name: z[name] for name in ("intrinsics", "image_size", "timestamps", "shape")}
        for preset in PRESETS:
            pixels = np.nan_to_num(z[preset][..., :2] * 16, nan=_ABSENT)
            out[f"{preset}_pixels"] = np.clip(np.rint(pixels), _ABSENT, -_ABSENT - 1).astype(np.int16)
            out[f"{preset}_scores"] = np.rint(np.clip(z[preset][..., 2], 0, 1) * 255).astype(np.uint8)
        turned = z["rotations"].astype(np.float64)
        local = turned.copy()
        for j in range(1, 24):
            local[:, :, j] = turned[:, :, SMPL24_PARENTS[j]].swapaxes(-1, -2) @ turned[:, :, j]
        vectors = np.stack([cv2.Rodrigues(matrix)[0][:, 0] for matrix in local.reshape(-1, 3, 3)])
        out["turns"] = np.rint(vectors.reshape(*local.shape[:3], 3) / np.pi * 32767).astype(np.int16)
        out["root"], out["visible"] = z["points"][:, :, 0], np.packbits(z["visible"])
    write_file(target, _packed(out))


def load(path: Path, body: Body) -> dict[str, np.ndarray]:
    """A joined file, or a small copy of one, with a first axis of S sequences of T frames.

    accurate, fast (S, T, 23, 3): pixels and confidence, NaN, NaN, 0 where absent; points (S, T, 71, 3) metres and
    rotations (S, T, 24, 3, 3) global, camera axes; shape (S, K); visible (S, T, 23); intrinsics (S, 3, 3); image_size
    (S, 2); timestamps (S, T) seconds.
    """
    with np.load(path, allow_pickle=False) as z:
        out = {name: z[name] for name in z.files}
    if "turns" not in out:
        return out
    for preset in PRESETS:
        pixels, scores = out.pop(f"{preset}_pixels"), out.pop(f"{preset}_scores")
        found = np.concatenate([pixels / np.float32(16), scores[..., None] / np.float32(255)], -1).astype(np.float32)
        found[pixels[..., 0] == _ABSENT] = np.nan, np.nan, 0
        out[preset] = found
    turns, root = out.pop("turns"), out.pop("root")
    s, t = turns.shape[:2]
    rotations = global_rotations(axis_angle_to_matrix((turns.reshape(-1, 24, 3) * (np.pi / 32767)).astype(np.float32)))
    out["rotations"] = rotations.reshape(s, t, 24, 3, 3)
    points = PointSkinner(body)(out["rotations"], out["shape"])
    out["points"] = points - points[:, :, :1] + root[:, :, None]
    out["visible"] = np.unpackbits(out["visible"], count=s * t * 23).reshape(s, t, 23).astype(bool)
    return out


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m pose2mesh_blender.training.detections", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mocap", type=Path, nargs="+", required=True, help="motion in SMPL's 24 joints (docs/network.md)")
    p.add_argument("--to", type=Path, required=True, metavar="FILE.npz")
    p.add_argument("--sequences", type=int, default=200)
    p.add_argument("--length", type=int, default=24, help="frames of a sequence (default: 24)")
    p.add_argument("--held-out", action="store_true", help="use the test subjects' motion instead of the others'")
    p.add_argument("--backgrounds", type=Path, nargs="*", default=[], help="pictures, or films with a still camera")
    p.add_argument("--worker", default="0/1", metavar="I/N", help="make every Nth sequence from I on (default: 0/1)")
    p.add_argument("--minutes", type=float, default=1e9, help="stop after this time")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--small", type=Path, metavar="FILE.npz", help="write a copy in 16 bits, too")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the process's exit code."""
    args = parser().parse_args(argv)
    end = time.monotonic() + 60 * args.minutes
    folder = args.to.with_suffix(".parts")
    folder.mkdir(parents=True, exist_ok=True)
    worker, workers = map(int, args.worker.split("/"))
    parts = [folder / f"{index:05d}.npz" for index in range(args.sequences)]
    missing = [index for index in range(worker, args.sequences, workers) if not parts[index].exists()]
    if missing:
        cv2.setNumThreads(1)
        body = load_body()
        motion = load_motion(args.mocap, body, args.held_out)
        studio = Studio(body, motion, [background(p) for p in args.backgrounds], args.length)
        for index in missing:
            if time.monotonic() > end:
                break
            write_file(parts[index], _packed(studio.sequence(np.random.default_rng(
                [args.seed, int(args.held_out), index]))))
            print(f"{args.to.name} {index + 1}/{args.sequences}", flush=True)
    if all(path.exists() for path in parts):
        join(parts, args.to)
        print(f"Wrote {args.to} ({args.to.stat().st_size / 1e6:.1f} MB)")
        if args.small:
            shrink(args.to, args.small)
            print(f"Wrote {args.small} ({args.small.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    raise SystemExit(main())
