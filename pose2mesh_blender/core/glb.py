"""GLB files that another program wrote: what it leaves to be put right. No `bpy` module use."""
from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from .conventions import steady
from .files import write_file

_JSON, _FLOAT = 0x4E4F534A, 5126


def steady_rotations(path: Path) -> None:
    """Rewrites the animated rotations so that quaternions do not flip between keys. The file's size stays."""
    data = bytearray(path.read_bytes())
    length, kind = struct.unpack_from("<II", data, 12)
    if data[:4] != b"glTF" or kind != _JSON:
        raise ValueError(f"{path} is not a GLB file")
    gltf, binary = json.loads(data[20:20 + length]), 20 + length + 8
    outputs = {animation["samplers"][channel["sampler"]]["output"] for animation in gltf.get("animations", ())
               for channel in animation["channels"] if channel["target"]["path"] == "rotation"}
    for number in outputs:
        accessor = gltf["accessors"][number]
        view = gltf["bufferViews"][accessor["bufferView"]]
        if accessor["componentType"] != _FLOAT or "byteStride" in view:
            raise ValueError(f"{path} stores rotations in a way that is not known here")
        start = binary + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        values = np.frombuffer(data, "<f4", 4 * accessor["count"], start).reshape(-1, 4)
        data[start:start + values.nbytes] = steady(values[:, [3, 0, 1, 2]])[:, [1, 2, 3, 0]].astype("<f4").tobytes()
    write_file(path, bytes(data))
