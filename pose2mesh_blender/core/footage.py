"""Footage: a video, a still image or a folder of images, read frame by frame. No `bpy` module use.

Frames are numbered from 0 in the order they are shown. A video is keyed on its presentation time stamps (PTS), so
variable frame rates and odd time bases are right; rotation metadata is applied, so every image is upright. Nothing is
held but one frame: memory does not grow with the length (apart from the list of time stamps, a number a frame).
"""
from __future__ import annotations

import hashlib
import os
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from .errors import FootageError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".tga", ".dpx", ".jp2"})
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv", ".ogv",
    ".3gp", ".mxf", ".gif", ".y4m"})
SEQUENCE_FPS = 24.0  # a folder of images carries no rate; Blender's own default

# Formats that read other files or the network, or that take any text for a picture.
_REFUSED_FORMATS = frozenset({"tty", "concat", "hls", "applehttp", "dash", "sdp", "rtsp", "imf", "bin", "xbin", "adf",
                              "idf", "image2"})
_CURE = "Check that it plays in a video player, or convert it to MP4 (H.264)."
_HASHED = 1 << 20


@dataclass(slots=True)
class Frame:
    """One frame. index: from 0; timestamp: seconds since the first frame; image: (H, W, 3) uint8 RGB, upright."""
    index: int
    timestamp: float
    image: np.ndarray


class Footage:
    """What `open_footage` returns.

    path; kind: "video" | "image" | "sequence"; width, height: pixels of the upright image; fps: frames per second on
    average; pixel_aspect: width of a pixel over its height (1 for nearly all footage; images are not rescaled by it).
    """

    path: Path
    kind: str
    width: int
    height: int
    fps: float
    pixel_aspect: float = 1.0

    @property
    def frame_count(self) -> int:
        """The exact number of frames."""
        raise FootageError(f"{self.path.name} is not footage.")

    def identity(self) -> dict:
        """What tells this footage from other footage; the same wherever the files lie. JSON-able."""
        raise FootageError(f"{self.path.name} is not footage.")

    def frames(self, start: int = 0, end: int | None = None, step: int = 1) -> Iterator[Frame]:
        """Frames start, start + step, ... up to and including `end` (default: the last one)."""
        count = self.frame_count
        last = count - 1 if end is None else end
        if step < 1:
            raise FootageError(f"A step of {step} frames is not possible.", "Use 1 or more.")
        if not 0 <= start < count or last < start:
            raise FootageError(f"{self.path.name} has {count} frames, numbered from 0: {start} to {last} is not there.",
                               "Change the first or the last frame.")
        return self._frames(start, min(last, count - 1), step)

    def _frames(self, start: int, last: int, step: int) -> Iterator[Frame]:
        raise FootageError(f"{self.path.name} is not footage.")


def open_footage(path: str | os.PathLike[str], sequence_fps: float = SEQUENCE_FPS) -> Footage:
    """Opens a video, a still image or a folder of images; FootageError names what is wrong and the cure.

    sequence_fps: the rate given to a folder of images and to a still.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _Sequence(path, sequence_fps)
        if not path.exists():
            raise FootageError(f"{path} does not exist.", "Check the path.")
        if path.stat().st_size == 0:
            raise FootageError(f"{path.name} is empty (0 bytes).", "Copy or download it again.")
        with _opened(path) as container:
            is_image = container.format.name.endswith("_pipe") or container.format.name == "image2"
        return _Still(path, sequence_fps) if is_image else _Video(path)
    except PermissionError as error:
        raise FootageError(f"{path} cannot be read.", "Check its permissions.") from error
    except OSError as error:
        raise FootageError(f"{path} cannot be read ({error.strerror or error}).",
                           "Check the disk and the path.") from error


class _Reader:
    """A file under a harmless name: FFmpeg takes "%03d" in a name for a pattern and "a:b" for a protocol."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "rb")
        # By the name ".jpg" FFmpeg takes its reader of sequences; by the content it takes the one of single pictures.
        # Targa pictures have no mark in their content, only the name tells them.
        suffix = path.suffix.lower()
        self.name = "footage" if suffix in (".jpg", ".jpeg") else f"footage{suffix}"
        self.read, self.seek, self.tell, self.close = self.file.read, self.file.seek, self.file.tell, self.file.close


class _opened:
    """The container of a file, read through Python's own file object: no format may open anything else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = _Reader(path)
        try:
            self.container = av.open(self.file, "r", options={"protocol_whitelist": "file"}, buffer_size=1 << 18)
            targa = path.suffix.lower() == ".tga" and self.container.format.name == "image2"
            if self.container.format.name in _REFUSED_FORMATS and not targa:
                self.container.close()
                raise self._refusal()
        except (av.FFmpegError, ValueError) as error:
            refusal = self._refusal()
            self.file.close()
            raise refusal from error
        except FootageError:
            self.file.close()
            raise

    def _refusal(self) -> FootageError:
        self.file.seek(0)
        head = self.file.read(4096)
        if b"\0" not in head and _is_text(head):
            return FootageError(f"{self.path.name} is a text file, not a video or an image.", "Choose another file.")
        return FootageError(f"{self.path.name} is damaged, cut off or not footage.", _CURE)

    def __enter__(self) -> av.container.InputContainer:
        return self.container

    def __exit__(self, *_: object) -> None:
        self.container.close()
        self.file.close()


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\r\n\t\f\ufeff" for c in text)


def _video_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    pictures = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        raise FootageError(f"{path.name} holds no video (sound only).", "Choose a file with a picture.")
    stream = streams[0]
    stream.thread_type = "AUTO"
    return stream


def _upright(frame: av.VideoFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """RGB of a decoded frame, turned as its metadata says; transparent parts are black.

    size: (width, height) before turning, for frames that differ from the first one.
    """
    width, height = size or (frame.width, frame.height)
    if any(component.is_alpha for component in frame.format.components):
        rgba = frame.to_ndarray(format="rgba", width=width, height=height)
        image = (rgba[..., :3] * (rgba[..., 3:].astype(np.float32) / 255)).astype(np.uint8)
    else:
        image = np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _digest(path: Path) -> str:
    """sha256 of the first and the last MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        digest.update(file.read(_HASHED))
        size = file.seek(0, os.SEEK_END)
        file.seek(max(_HASHED, size - _HASHED))
        digest.update(file.read(_HASHED))
    return digest.hexdigest()


class _Index(NamedTuple):
    """Number of frames, and their time stamps in order (none where the file has no usable ones)."""
    frames: int
    stamps: list[int]


class _Video(Footage):
    kind = "video"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: list[int] = []  # time stamps of the frames that decoding can start at
        with _opened(path) as container:
            stream = _video_stream(container, path)
            first = next(_decoded(container, stream), None)
            if first is None:
                raise FootageError(f"{path.name}: no frame can be decoded.", _CURE)
            self._stored = (first.width, first.height)
            turned = round(first.rotation / 90) % 2
            self.width, self.height = self._stored[::-1] if turned else self._stored
            self.pixel_aspect = float(stream.sample_aspect_ratio or 1)
            self.fps = float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)
            self._time_base = float(first.time_base or stream.time_base or 1)
            self._first_pts = first.pts
            self._declared = stream.frames
        if not 0.0 < self.fps < 1000.0:
            stamps = self._index.stamps
            span = (stamps[-1] - stamps[0]) * self._time_base if stamps else 0.0
            self.fps = (self._index.frames - 1) / span if span > 0 else SEQUENCE_FPS

    @property
    def frame_count(self) -> int:
        return self._index.frames

    def identity(self) -> dict:
        return {"kind": self.kind, "bytes": self.path.stat().st_size, "sha256": _digest(self.path)}

    @cached_property
    def _index(self) -> _Index:
        """Lists the time stamps without decoding; decodes the whole file only where the packets cannot be trusted."""
        stamps: list[int | None] = []
        sound = True
        with _opened(self.path) as container:
            stream = _video_stream(container, self.path)
            try:
                for packet in container.demux(stream):
                    if packet.size and not packet.is_discard:
                        stamps.append(packet.pts)
                        if packet.is_keyframe and packet.pts is not None:
                            self._keys.append(packet.pts)
                        sound &= not packet.is_corrupt
            except av.FFmpegError:
                sound = False
        known = sorted(stamp for stamp in stamps if stamp is not None)
        sound &= len(set(known)) == len(stamps) > 0 and self._declared in (0, len(stamps))
        if sound:
            # a stream cut inside a group of pictures starts with packets that show nothing
            known = known[bisect_left(known, self._first_pts) if self._first_pts is not None else 0:]
            return _Index(len(known), known)
        with _opened(self.path) as container:
            stamps = [frame.pts for frame in _decoded(container, _video_stream(container, self.path))]
        known = [stamp for stamp in stamps if stamp is not None]
        ordered = len(known) == len(stamps) and all(a < b for a, b in pairwise(known))
        return _Index(len(stamps), known if ordered else [])

    def _decoded_from(self, start: int, container: av.container.InputContainer,
                      stream: av.video.stream.VideoStream) -> Iterator[av.VideoFrame]:
        """Frames from one at or before `start` on; some formats seek too late: then an earlier key is tried."""
        stamps = self._index.stamps
        if not start or not stamps:
            return _decoded(container, stream)
        wanted = stamps[start]
        keys = [key for key in self._keys if key <= wanted][-3:]
        for stamp in [wanted, *reversed(keys), stamps[0]]:
            container.seek(stamp, stream=stream, backward=True)
            frames = _decoded(container, stream)
            first = next(frames, None)
            if first is not None and first.pts is not None and first.pts <= wanted:
                return chain([first], frames)
        container.seek(0)
        return _decoded(container, stream)

    def _frames(self, start: int, last: int, step: int) -> Iterator[Frame]:
        with _opened(self.path) as container:
            stream = _video_stream(container, self.path)
            index, stamps = -1, self._index.stamps
            for frame in self._decoded_from(start, container, stream):
                if stamps and frame.pts is not None:
                    index = bisect_left(stamps, frame.pts)
                else:
                    index += 1
                if index > last:
                    return
                if index < start or (index - start) % step:
                    continue
                if stamps:
                    seconds = (stamps[index] - stamps[0]) * self._time_base
                else:
                    seconds = index / self.fps
                yield Frame(index, seconds, _upright(frame, self._stored))


def _decoded(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> Iterator[av.VideoFrame]:
    """The frames that decode, in the order they are shown; damaged packets are passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError):
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _read_image(path: Path) -> np.ndarray:
    with _opened(path) as container:
        frame = next(_decoded(container, _video_stream(container, path)), None)
    if frame is None:
        raise FootageError(f"{path.name} is damaged, cut off or not an image.", "Save it again as PNG or JPEG.")
    return _upright(frame)


class _Still(Footage):
    kind = "image"
    frame_count = 1

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self.height, self.width = _read_image(path).shape[:2]

    def identity(self) -> dict:
        return {"kind": self.kind, "bytes": self.path.stat().st_size, "sha256": _digest(self.path)}

    def _frames(self, start: int, last: int, step: int) -> Iterator[Frame]:
        yield Frame(0, 0.0, _read_image(self.path))


def natural_key(name: str) -> list:
    """Sorts shot2 before shot10."""
    return [int(part) if odd % 2 else part.casefold() for odd, part in enumerate(re.split(r"(\d+)", name))]


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in the order of their frames."""
    names = [name for name in os.listdir(folder)
             if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")]
    return [folder / name for name in sorted(names, key=natural_key)]


class _Sequence(Footage):
    kind = "sequence"

    def __init__(self, path: Path, fps: float) -> None:
        self.path, self.fps = path, fps
        self.files = image_files(path)
        if not self.files:
            raise FootageError(f"{path} holds no images.",
                               "Choose a folder of PNG or JPEG images (videos are opened one by one).")
        self.height, self.width = _read_image(self.files[0]).shape[:2]

    @property
    def frame_count(self) -> int:
        return len(self.files)

    def identity(self) -> dict:
        listing = hashlib.sha256()
        for file in self.files:
            listing.update(f"{file.name}\0{file.stat().st_size}\n".encode())
        return {"kind": self.kind, "files": len(self.files), "listing": listing.hexdigest(),
                "sha256": _digest(self.files[0]), "sha256_last": _digest(self.files[-1])}

    def _frames(self, start: int, last: int, step: int) -> Iterator[Frame]:
        for index in range(start, last + 1, step):
            file = self.files[index]
            try:
                image = _read_image(file)
            except OSError as error:
                raise FootageError(f"{file} cannot be read.", "Check that it still exists.") from error
            if image.shape[:2] != (self.height, self.width):
                raise FootageError(
                    f"{file.name} is {image.shape[1]} x {image.shape[0]}, but {self.files[0].name} is {self.width} x "
                    f"{self.height}.", "Keep only images of one size in the folder.")
            yield Frame(index, index / self.fps, image)
