"""OpenEXR pictures of numbers: scan lines, ZIP, three channels, half or float. No `bpy` module use.

Format: https://openexr.com/en/latest/OpenEXRFileLayout.html
"""
from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from .files import write_file

_LINES = 16  # scan lines in a block of ZIP compression


def write_exr(path: Path, pixels: np.ndarray) -> None:
    """pixels (H, W, 3), float32 or float16, row 0 at the top, as channels R, G, B. Raises TakeError."""
    height, width, _ = pixels.shape
    half = pixels.dtype == np.float16
    planes = np.ascontiguousarray(pixels.transpose(0, 2, 1)[:, ::-1], "<f2" if half else "<f4")  # B, G, R per line
    channels = b"".join(name + struct.pack("<iBxxxii", 1 if half else 2, 0, 1, 1) for name in (b"B\0", b"G\0", b"R\0"))
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = b"".join((
        struct.pack("<ii", 20000630, 2), _entry("channels", "chlist", channels + b"\0"),
        _entry("compression", "compression", b"\3"), _entry("dataWindow", "box2i", box),
        _entry("displayWindow", "box2i", box), _entry("lineOrder", "lineOrder", b"\0"),
        _entry("pixelAspectRatio", "float", struct.pack("<f", 1)),
        _entry("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        _entry("screenWindowWidth", "float", struct.pack("<f", 1)), b"\0"))
    blocks = []
    for line in range(0, height, _LINES):
        packed = _zip(planes[line:line + _LINES].tobytes())
        blocks.append(struct.pack("<ii", line, len(packed)) + packed)
    starts = np.cumsum([len(header) + 8 * len(blocks)] + [len(b) for b in blocks[:-1]])
    write_file(path, header + starts.astype("<u8").tobytes() + b"".join(blocks))


def _entry(name: str, kind: str, value: bytes) -> bytes:
    return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value


def _zip(raw: bytes) -> bytes:
    """OpenEXR's ZIP: even bytes, then odd ones, as differences, deflated; raw where that is not smaller."""
    data = np.frombuffer(raw, np.uint8)
    data = np.concatenate([data[::2], data[1::2]])
    difference = data.copy()
    difference[1:] = data[1:] - data[:-1] + np.uint8(128)
    packed = zlib.compress(difference.tobytes(), 6)
    return packed if len(packed) < len(raw) else raw
