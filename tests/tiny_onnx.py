"""Writes small ONNX files by hand, so that tests need no onnx package: the few protobuf fields that a network has."""
from __future__ import annotations

from pathlib import Path

import numpy as np

FLOAT, INTS, INT = 1, 7, 2  # TensorProto.FLOAT, AttributeProto.INTS, AttributeProto.INT


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_number(1, n) for n in array.shape)
    return dims + _number(2, FLOAT) + _block(8, name) + _block(9, np.ascontiguousarray(array, "<f4").tobytes())


def value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_block(1, _number(1, n)) for n in shape)
    return _block(1, name) + _block(2, _block(1, _number(1, FLOAT) + _block(2, dims)))


def node(kind: str, inputs: list[str], outputs: list[str], **attributes: int | list[int]) -> bytes:
    data = b"".join(_block(1, name) for name in inputs) + b"".join(_block(2, name) for name in outputs)
    data += _block(4, kind)
    for name, given in attributes.items():
        if isinstance(given, int):
            data += _block(5, _block(1, name) + _number(3, given) + _number(20, INT))
        else:
            data += _block(5, _block(1, name) + b"".join(_number(8, n) for n in given) + _number(20, INTS))
    return data


def write(path: Path, nodes: list[bytes], weights: dict[str, np.ndarray], inputs: dict[str, tuple[int, ...]],
          outputs: dict[str, tuple[int, ...]]) -> Path:
    graph = b"".join(_block(1, n) for n in nodes) + _block(2, "tiny")
    graph += b"".join(_block(5, tensor(name, array)) for name, array in weights.items())
    graph += b"".join(_block(11, value(name, shape)) for name, shape in inputs.items())
    graph += b"".join(_block(12, value(name, shape)) for name, shape in outputs.items())
    path.write_bytes(_number(1, 8) + _block(7, graph) + _block(8, _number(2, 17)))
    return path
