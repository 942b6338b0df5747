"""The overlay: footage with the mesh drawn over it, beside the same moment seen from the side. No `bpy` module use.

For the shell (it needs OpenCV, which the add-on does not bring). Streams: one frame in memory at a time.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from .assets import asset_path, load_index
from .body import Body, load_body
from .errors import Cancelled, ExportError
from .files import writing
from .painter import draw_lines, face_colours, paint
from .take import Take

MAX_SIDE = 960  # pixels of the longer side of one half; larger footage is scaled down
OPACITY = 0.85
TURNS = (60.0, 70.0, 80.0, -60.0, -70.0, -80.0)  # degrees around the vertical that the side view may take
BACKGROUND, GRID = (46, 49, 56), (86, 91, 102)
_CONTACTS = 500  # rows looked at to place the side view


class OverlayView:
    """What stays the same over a take: sizes, colours and the two cameras."""

    def __init__(self, take: Take, body: Body | None = None) -> None:
        self.take, self.body = take, body or load_body()
        width, height = take.image_size
        scale = min(1.0, MAX_SIDE / max(width, height))
        self.width, self.height = (max(2, round(v * scale / 2) * 2) for v in (width, height))
        self.intrinsics = np.diag([self.width / width, self.height / height, 1]) @ take.intrinsics
        self.colours = face_colours(self.body, _texture())
        self.people = [p for p in take.people if take.has_mesh(p)]
        if not self.people:
            raise ExportError(f"{take.folder} has no solved person to draw.", "Run animate or solve first.")
        self._translation = {p: take.translation(p) for p in self.people}
        self._solved = take.solved
        self._side = self._side_camera()

    def draw(self, row: int, image: np.ndarray | None) -> np.ndarray:
        """(H, 2W, 3) uint8 RGB of one row; image (H0, W0, 3) uint8 RGB, None = no footage."""
        meshes = self._meshes(row)
        if image is None:
            image = np.full((self.height, self.width, 3), BACKGROUND, np.uint8)
        if image.shape[:2] == (self.height, self.width):
            left = image.copy()
        else:
            left = cv2.resize(image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        painted = left.copy()
        mask = paint(painted, meshes, self.body.faces, self.colours, self.intrinsics)
        blended = cv2.addWeighted(painted, OPACITY, left, 1 - OPACITY, 0)
        cv2.copyTo(blended, mask, left)
        right = np.full_like(left, BACKGROUND)
        rotation, offset, intrinsics, grid = self._side
        draw_lines(right, grid[0], grid[1], intrinsics, GRID)
        paint(right, [m @ rotation.T + offset for m in meshes], self.body.faces, self.colours, intrinsics)
        return np.concatenate([left, right], 1)

    def _meshes(self, row: int) -> list[np.ndarray]:
        if not self._solved[row]:
            return []
        meshes = [np.array(self.take.vertices(p)[row]) + self._translation[p][row] for p in self.people]
        return [m for m in meshes if np.isfinite(m).all()]

    def _side_camera(self):
        """Rotation, offset (x' = R x + o), intrinsics and floor grid of a camera turned around the people's middle.

        It stands still over the whole take and sees every place where the people have been.
        """
        world = self.take.world_from_camera  # gravity and floor
        rows = np.unique(np.linspace(0, len(self.take) - 1, min(len(self.take), _CONTACTS)).astype(int))
        points = np.concatenate([(self.take.joints(p) + self._translation[p][:, None])[rows].reshape(-1, 3)
                                 for p in self.people])
        points = points[np.isfinite(points).all(1)]
        if not len(points):
            raise ExportError(f"{self.take.folder} has no solved frame to draw.", "Solve it first.")
        at = points @ world[:3, :3].T + world[:3, 3]
        low, high = np.percentile(at, 1, axis=0) - 0.15, np.percentile(at, 99, axis=0) + 0.15
        at = np.clip(at, low, high)
        at = np.concatenate([at - [0, 0, 0.1], at + [0, 0, 0.15]])  # joints end below the crown and above the sole
        middle = (low + high) / 2
        forward = world[:3, :3] @ (0, 0, 1)  # where the footage's camera looks
        focal = 1.4 * max(self.width, self.height)
        candidates = []
        for turn in TURNS:
            heading = np.arctan2(forward[1], forward[0]) + np.radians(turn)
            tilt = np.radians(8)
            look = np.array([np.cos(heading) * np.cos(tilt), np.sin(heading) * np.cos(tilt), -np.sin(tilt)])
            right = np.array([np.sin(heading), -np.cos(heading), 0.0])
            axes = np.stack([right, np.cross(look, right), look])  # rows: x right, y down, z forward
            seen = (at - middle) @ axes.T
            room = np.abs(seen[:, :2]) * focal / (0.46 * np.array([self.width, self.height])) - seen[:, 2:]
            candidates.append((float(room.max()), turn, axes))
        distance, _, axes = min(candidates, key=lambda c: c[:2])  # the side from which everybody is largest
        offset = -axes @ middle + (0, 0, distance)
        intrinsics = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        starts, ends = _grid(middle, reach=max(2.0, float(np.ceil(np.abs(high - low)[:2].max()))))
        return (axes @ world[:3, :3], axes @ world[:3, 3] + offset, intrinsics,
                (starts @ axes.T + offset, ends @ axes.T + offset))


def write_overlay(take: Take, footage, path_mp4: Path | str | None, still_path: Path | str | None = None,
                  progress: Callable[[str, int, int], None] | None = None,
                  cancelled: Callable[[], bool] | None = None, body: Body | None = None) -> None:
    """Writes an H.264 MP4 and/or one still picture (PNG, the middle of the solved frames).

    footage: core.footage.Footage of the take, or None for a take from a keypoint file (plain background then).
    Each file appears under its name only when it is whole. Raises ExportError, FootageError, Cancelled.
    """
    view = OverlayView(take, body)
    if still_path is not None:
        _write_still(view, take, footage, Path(still_path))
    if path_mp4 is None:
        return
    path = Path(path_mp4)
    step = int(take.settings.get("step", 1))
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part.mp4")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _encode(view, _images(take, footage), temporary, take.fps / step, len(take), progress, cancelled)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _encode(view: OverlayView, images, path: Path, fps: float, total: int, progress, cancelled) -> None:
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = _video_stream(container, fps)
        stream.width, stream.height, stream.pix_fmt = view.width * 2, view.height, "yuv420p"
        for row, image in images:
            if cancelled is not None and cancelled():
                raise Cancelled
            frame = av.VideoFrame.from_ndarray(view.draw(row, image), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
            if progress is not None:
                progress("overlay", row + 1, total)
        for packet in stream.encode():
            container.mux(packet)


def _video_stream(container, fps: float):
    rate = Fraction(fps).limit_denominator(1001)
    for name, options in (("libx264", {"crf": "20", "preset": "veryfast"}), ("h264", {}), ("libopenh264", {}),
                          ("mpeg4", {"q": "3"})):
        try:
            av.codec.Codec(name, "w")
        except (ValueError, av.error.FFmpegError):  # this build of FFmpeg has no such encoder
            continue
        return container.add_stream(name, rate=rate, options=options)
    raise ExportError("This PyAV has no H.264 or MPEG-4 encoder.", "Install av from PyPI: pip install av.")


def _images(take: Take, footage):
    """(row, image or None) for every row."""
    if footage is None:
        yield from ((row, None) for row in range(len(take)))
        return
    step = int(take.settings.get("step", 1))
    frames = footage.frames(start=int(take.frames[0]), end=int(take.frames[-1]), step=step)
    yield from ((row, frame.image) for row, frame in enumerate(frames))


def _write_still(view: OverlayView, take: Take, footage, path: Path) -> None:
    solved = np.flatnonzero(take.solved & np.isfinite(take.translation(view.people[0])[:, 0]))
    row = int(solved[len(solved) // 2]) if len(solved) else 0
    image = None
    if footage is not None:
        frame = int(take.frames[row])
        image = next(iter(footage.frames(start=frame, end=frame))).image
    encoded = cv2.imencode(".png", cv2.cvtColor(view.draw(row, image), cv2.COLOR_RGB2BGR))[1].tobytes()
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part.png")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(encoded)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _grid(middle: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Lines every half metre on the floor z = 0 around `middle`: starts and ends (N, 3)."""
    ticks = np.arange(-reach, reach + 0.25, 0.5)
    x, y = np.round(middle[:2] * 2) / 2
    low, high = np.full_like(ticks, -reach), np.full_like(ticks, reach)
    starts = np.concatenate([np.stack([x + ticks, y + low], 1), np.stack([x + low, y + ticks], 1)])
    ends = np.concatenate([np.stack([x + ticks, y + high], 1), np.stack([x + high, y + ticks], 1)])
    flat = np.zeros((len(starts), 1))
    return np.concatenate([starts, flat], 1), np.concatenate([ends, flat], 1)


def _texture() -> np.ndarray | None:
    """The bundled default texture (H, W, 3) uint8 RGB."""
    name = next((e["file"] for e in load_index()["assets"] if e["file"].startswith("texture")), None)
    if name is None:
        return None
    picture = cv2.imdecode(np.fromfile(asset_path(name), np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
