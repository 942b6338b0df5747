"""Draws dressed bodies into a room, off screen, as a camera would film them.

OpenGL through EGL, without a window or a GPU (Mesa's llvmpipe will do). Needs the `render` extra and, on Linux, the
packages libgl1, libegl1, libegl-mesa0 and libgl1-mesa-dri.
"""
from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from ..core.body import Body
from ..core.camera import intrinsics_from_focal
from ..core.errors import Pose2MeshError
from ..core.footage import open_footage
from .wardrobe import Look, colour

if TYPE_CHECKING:
    import moderngl

NEAR, FAR = .1, 100.0  # metres
EMPTY = 1e3  # depth where nothing is drawn

_VERTEX = """#version 330
uniform vec4 lens;  // 2 fx / W, 2 fy / H, 2 cx / W - 1, 2 cy / H - 1
uniform vec2 range;
in vec3 place; in vec3 normal; in vec3 uv;
out vec3 at; out vec3 facing; out vec3 texel;
void main() {
    at = place; facing = normal; texel = uv;
    // rows of the picture run downwards, as in an image file
    gl_Position = vec4(place.xy * lens.xy + place.z * lens.zw,
                       (place.z * (range.y + range.x) - 2 * range.x * range.y) / (range.y - range.x), place.z);
}"""
_BODY = """#version 330
uniform sampler2D cloth; uniform vec3 key_from, key, sky, ground, up; uniform float shine;
in vec3 at; in vec3 facing; in vec3 texel; out vec4 colour;
void main() {
    vec3 n = normalize(facing), eye = normalize(-at);
    if (dot(n, eye) < 0) n = -n;
    vec3 albedo = pow(texture(cloth, texel.xy).rgb, vec3(2.2));
    vec3 light = mix(ground, sky, .5 + .5 * dot(n, up)) + key * max(dot(n, key_from), 0);
    float gloss = shine * pow(max(dot(reflect(-key_from, n), eye), 0), 20);
    colour = vec4(pow(albedo * light + gloss * key, vec3(1 / 2.2)), 1);
}"""
_ROOM = """#version 330
uniform sampler2DArray walls;
in vec3 at; in vec3 facing; in vec3 texel; out vec4 colour;
void main() { colour = vec4(texture(walls, texel).rgb, 1); }"""
_DEPTH = """#version 330
in vec3 at; in vec3 facing; in vec3 texel; out float depth;
void main() { depth = at.z; }"""


@dataclass
class Light:
    """One lamp and the light from all around. Directions in world axes (y up), colours linear RGB."""

    key_from: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    shine: float

    @classmethod
    def any(cls, rng: np.random.Generator) -> Light:
        direction = rng.normal(size=3) + [0, .7, 0]
        level, contrast = rng.uniform(.9, 1.7), rng.uniform(.1, .8)
        tint = 1 + rng.normal(0, .06, (3, 3))
        return cls(direction / np.linalg.norm(direction), level * contrast * 1.2 * tint[0],
                   level * (1.1 - .7 * contrast) * tint[1], level * (.8 - .6 * contrast) * tint[2], rng.uniform(0, .2))


@dataclass
class Room:
    """A box with painted walls round everything, or one picture behind everything."""

    low: np.ndarray  # (3,) metres, world axes
    high: np.ndarray
    walls: np.ndarray  # (6, S, S, 3) uint8: -x, +x, -y (floor), +y, -z, +z
    tile: float  # metres that a wall's picture covers before it repeats
    picture: np.ndarray | None = None

    @classmethod
    def any(cls, low: np.ndarray, high: np.ndarray, rng: np.random.Generator, size: int = 256) -> Room:
        """A room that holds the box low..high; its floor is the box's."""
        margin = rng.uniform(.5, 5, (2, 3)) * [[1, 0, 1], [1, 1, 1]]
        sides, floor, ceiling = pattern(rng, size), pattern(rng, size), pattern(rng, size)
        other = pattern(rng, size) if rng.random() < .5 else sides
        return cls(low - margin[0], high + margin[1], np.stack([sides, other, floor, ceiling, other, sides]),
                   rng.uniform(1, 6))

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """World places (36, 3) of the walls' triangles and their texels (36, 3): u, v, wall."""
        places, texels = [], []
        for axis in range(3):
            a, b = [k for k in range(3) if k != axis]
            for side, bound in enumerate((self.low, self.high)):
                quad = np.repeat(bound[None], 4, 0)
                quad[:, a] = np.array([self.low[a], self.high[a]])[[0, 1, 1, 0]]
                quad[:, b] = np.array([self.low[b], self.high[b]])[[0, 0, 1, 1]]
                uv = np.column_stack([quad[:, [a, b]] / self.tile, np.full(4, 2 * axis + side)])
                order = [0, 1, 2, 0, 2, 3]
                places.append(quad[order])
                texels.append(uv[order])
        return np.concatenate(places), np.concatenate(texels)


def pattern(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, size, 3) uint8: a colour under noise of several scales, with boards, boxes and lines on half of them."""
    image = np.tile(colour(rng, .5), (size, size, 1))
    unrest = rng.uniform(0, .4) ** 1.5
    for cells in (2, 5, 13, 40):
        tint = rng.normal(0, .5, (cells, cells, 1)) + rng.normal(0, .12, (cells, cells, 3))
        blob = cv2.resize(tint.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        image += blob * rng.uniform(0, unrest)
    if rng.random() < .3:
        step = int(rng.integers(12, 90))
        image[np.arange(size) % step < max(1, step // 25)] *= rng.uniform(.5, 1.3)
        if rng.random() < .7:
            image[:, np.arange(size) % step < max(1, step // 25)] *= rng.uniform(.5, 1.3)
    if rng.random() < .4:
        for _ in range(rng.integers(1, 9)):
            (x, y), (w, h) = rng.integers(0, size, 2), rng.integers(4, size // 2, 2)
            cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour(rng).tolist(),
                          -1 if rng.random() < .7 else int(rng.integers(1, 6)))
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def background(path: Path, samples: int = 15) -> np.ndarray:
    """(H, W, 3) uint8 of a picture, or of a film whose camera stands still: the median over time has no people in it.

    Raises FootageError when the file cannot be read.
    """
    footage = open_footage(path)
    if footage.kind == "image":
        return next(iter(footage.frames())).image
    step = max(1, footage.frame_count // samples)
    return np.median(np.stack([frame.image for frame in footage.frames(step=step)]), 0).astype(np.uint8)


class Renderer:
    """An OpenGL context with a body's triangles in it. Raises Pose2MeshError where EGL is absent."""

    def __init__(self, body: Body) -> None:
        os.environ.setdefault("LP_NUM_THREADS", "1")  # llvmpipe's; more threads do not help pictures this small
        try:
            import moderngl
        except ImportError as error:
            raise Pose2MeshError("Drawing training pictures needs moderngl.",
                                 "In a checkout: pip install '.[render]'.") from error
        try:
            self.gl = moderngl.create_standalone_context(**({"backend": "egl"} if sys.platform == "linux" else {}))
        except Exception as error:  # glcontext and Mesa raise whatever they like
            raise Pose2MeshError(f"No OpenGL context without a window ({error}).",
                                 "On Linux, install libgl1, libegl1, libegl-mesa0 and libgl1-mesa-dri.") from error
        gl, triangles = self.gl, moderngl.TRIANGLES
        self._triangles = triangles
        self._buffers: dict[tuple[int, int], tuple[moderngl.Framebuffer, ...]] = {}
        self._programs = {name: gl.program(vertex_shader=_VERTEX, fragment_shader=code)
                          for name, code in (("body", _BODY), ("room", _ROOM), ("depth", _DEPTH))}
        self._vertex = np.empty(len(body.vt), np.int64)  # of each texture vertex
        self._vertex[body.ft.ravel()] = body.faces.ravel()
        uv = np.column_stack([body.vt[:, 0], 1 - body.vt[:, 1], np.zeros(len(body.vt))]).astype(np.float32)
        self._points = gl.buffer(reserve=len(uv) * 24)
        self._body = self._array(("body", "depth"), self._points, gl.buffer(uv), gl.buffer(body.ft.astype(np.int32)))
        self._box, self._box_uv = gl.buffer(reserve=36 * 24), gl.buffer(reserve=36 * 12)
        self._walls = self._array(("room",), self._box, self._box_uv)
        self._faces = body.faces
        order = np.argsort(body.faces.ravel(), kind="stable")
        self._incident = order // 3
        self._start = np.searchsorted(body.faces.ravel()[order], np.arange(len(body.v_template)))
        self._textures: dict[str, moderngl.Texture | moderngl.TextureArray] = {}

    def _targets(self, size: tuple[int, int]) -> tuple[moderngl.Framebuffer, ...]:
        """What is drawn into, for pictures of a size W, H: smoothed edges, the same resolved, and depth."""
        if size not in self._buffers:
            gl, samples = self.gl, min(4, self.gl.max_samples)
            smooth = gl.framebuffer([gl.renderbuffer(size, 4, samples=samples)],
                                    gl.depth_renderbuffer(size, samples=samples))
            self._buffers[size] = (smooth, gl.framebuffer([gl.renderbuffer(size, 4)]),
                                   gl.framebuffer([gl.renderbuffer(size, 1, dtype="f4")], gl.depth_renderbuffer(size)))
        return self._buffers[size]

    def _array(self, programs: tuple[str, ...], points: moderngl.Buffer, texels: moderngl.Buffer,
               index: moderngl.Buffer | None = None) -> dict[str, moderngl.VertexArray]:
        arrays = {}
        for name in programs:
            known = [a if a in self._programs[name] else None for a in ("place", "normal", "uv")]
            first = " ".join("3f" if a else "3x4" for a in known[:2])
            content = [(points, first, *filter(None, known[:2]))]
            if known[2]:
                content.append((texels, "3f", "uv"))
            arrays[name] = self.gl.vertex_array(self._programs[name], content, index)
        return arrays

    def dressed(self, vertices: np.ndarray, look: Look) -> np.ndarray:
        """Camera-space vertices (6890, 3), metres -> (7576, 6) float32 for `draw`: place, clothes on, and normal."""
        corner = vertices[self._faces]
        flat = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        normal = np.add.reduceat(flat[self._incident], self._start, 0)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        return np.concatenate([vertices + look.thickness[:, None] * normal, normal], 1)[self._vertex].astype(np.float32)

    def furnish(self, looks: Sequence[Look], room: Room) -> None:
        """Loads the pictures of everybody's clothes and of the walls; drawing uses those of the last call."""
        for texture in self._textures.values():
            texture.release()
        for number, look in enumerate(looks):
            texture = self.gl.texture(look.texture.shape[1::-1], 3, look.texture.tobytes(), alignment=1)
            texture.build_mipmaps()
            self._textures[f"look{number}"] = texture
        count, height, width, _ = room.walls.shape
        walls = self.gl.texture_array((width, height, count), 3, room.walls.tobytes(), alignment=1)
        walls.build_mipmaps()
        self._textures["walls"] = walls
        self._room = room

    def draw(self, people: Sequence[np.ndarray], focal: float, size: tuple[int, int], light: Light,
             turn: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB.

        people: `dressed` of each, in the order of `furnish`; size: W, H; turn (3, 3) and place (3,): camera space is
        turn @ (world - place), x right, y down, z forward.
        """
        gl, (width, height) = self.gl, size
        canvas, flat, _ = self._targets(size)
        canvas.use()
        canvas.clear()
        self._lens(focal, size)
        room = self._room
        gl.disable(gl.DEPTH_TEST)
        if room.picture is None:
            corners, texels = room.corners()
            seen = np.zeros((36, 6), np.float32)
            seen[:, :3] = (corners - place) @ turn.T
            self._box.write(seen)
            self._box_uv.write(texels.astype(np.float32))
            self._textures["walls"].use(0)
            self._walls["room"].render(self._triangles)
        gl.enable(gl.DEPTH_TEST)
        program = self._programs["body"]
        for name, value in (("key_from", turn @ light.key_from), ("key", light.key), ("sky", light.sky),
                            ("ground", light.ground), ("up", turn[:, 1])):
            program[name] = tuple(float(v) for v in value)
        program["shine"] = light.shine
        for number, points in enumerate(people):
            self._textures[f"look{number}"].use(0)
            self._points.write(points)
            self._body["body"].render(self._triangles)
        gl.copy_framebuffer(flat, canvas)
        image = np.frombuffer(flat.read(components=4), np.uint8).reshape(height, width, 4)
        if room.picture is None:
            return image[..., :3].copy()
        behind = room.picture.astype(np.float32)
        cover = image[..., 3:].astype(np.float32) / 255
        return (image[..., :3] + behind * (1 - cover) + .5).astype(np.uint8)

    def depth(self, people: Sequence[np.ndarray], focal: float, size: tuple[int, int]) -> np.ndarray:
        """(H, W) float32: metres along the optical axis to the nearest body, `EMPTY` where there is none."""
        width, height = size
        far = self._targets(size)[2]
        far.use()
        far.clear(EMPTY)
        self.gl.enable(self.gl.DEPTH_TEST)
        self._lens(focal, size)
        for points in people:
            self._points.write(points)
            self._body["depth"].render(self._triangles)
        return np.frombuffer(far.read(components=1, dtype="f4"), np.float32).reshape(height, width)

    def _lens(self, focal: float, size: tuple[int, int]) -> None:
        width, height = size
        k = intrinsics_from_focal(width, height, focal)
        for program in self._programs.values():
            program["lens"] = (2 * k[0, 0] / width, 2 * k[1, 1] / height, 2 * k[0, 2] / width - 1,
                               2 * k[1, 2] / height - 1)
            program["range"] = (NEAR, FAR)


@dataclass
class Film:
    """What lens, sensor and codec do to all pictures of a sequence."""

    exposure: np.ndarray  # (3,) gain per channel
    gamma: float
    blur: float  # pixels
    shrink: float  # resolution that is really there
    grain: float  # 0..255
    codec: str  # none | jpeg | h264
    quality: int  # of JPEG, or the rate factor of H.264

    @classmethod
    def any(cls, rng: np.random.Generator) -> Film:
        codec = str(rng.choice(["none", "jpeg", "h264"], p=[.15, .25, .6]))
        quality = int(rng.integers(25, 95)) if codec == "jpeg" else int(rng.integers(18, 36))
        return cls(rng.uniform(.8, 1.2) * (1 + rng.normal(0, .05, 3)), float(np.exp(rng.normal(0, .15))),
                   rng.choice([0, 1]) * rng.uniform(.3, 1.4), float(rng.choice([1, 1, 1, 1, .7, .5])),
                   rng.choice([0, 1]) * rng.uniform(0, 10), codec, quality)

    def develop(self, images: list[np.ndarray], rng: np.random.Generator, fps: float = 30.0) -> list[np.ndarray]:
        """Pictures (H, W, 3) uint8 RGB of one sequence and size -> the same, as filmed."""
        curve = np.arange(256)[:, None] / 255 * self.exposure
        table = (np.clip(curve, 0, 1) ** self.gamma * 255 + .5).astype(np.uint8)[None]
        out = []
        for image in images:
            height, width = image.shape[:2]
            if self.shrink < 1:
                small = cv2.resize(image, None, fx=self.shrink, fy=self.shrink, interpolation=cv2.INTER_AREA)
                image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
            if self.blur:
                image = cv2.GaussianBlur(image, (0, 0), self.blur)
            image = cv2.LUT(image, table)
            if self.grain:
                fog = np.empty(image.shape, np.int16)
                cv2.setRNGSeed(int(rng.integers(1 << 30)))
                cv2.randn(fog, np.zeros(3), np.full(3, self.grain))
                image = cv2.add(image, fog, dtype=cv2.CV_8U)
            if self.codec == "jpeg":
                data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1]
                image = cv2.imdecode(data, cv2.IMREAD_COLOR)
            out.append(image)
        return _h264(out, self.quality, fps) if self.codec == "h264" else out


def _h264(images: list[np.ndarray], rate_factor: int, fps: float) -> list[np.ndarray]:
    """Through the encoder and back."""
    height, width = images[0].shape[:2]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": str(rate_factor), "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=round(fps), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
