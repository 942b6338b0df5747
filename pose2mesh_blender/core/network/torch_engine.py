"""The network in torch, for CUDA, ROCm and MPS. No `bpy` module use. Imported only where torch is wanted."""
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from ..assets import asset_path
from ..body import Body, load_body
from ..errors import AssetError, DeviceError
from .engine import WEIGHTS, Network
from .torch_meshnet import MeshNet, MeshNetConfig
from .torch_posenet import PoseNet, TemporalNet


def torch_device(device: str) -> str:
    """torch's name for auto | cpu | cuda | rocm | mps. Raises DeviceError when it is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name, ok in there.items() if ok)
    name = {"rocm": "cuda"}.get(device, device)  # ROCm builds of torch speak of CUDA
    if not there.get(name):
        raise DeviceError(f"torch finds no {device} device here.", "Choose the device auto or cpu (--device).")
    return name


def read_weights(path: Path, body: Body | None = None) -> tuple[PoseNet, TemporalNet, MeshNet]:
    """The networks from a .safetensors file written by `training.export`. Refuses missing and unexpected tensors.

    body: the one that the network was trained on, None = the bundled one.
    """
    try:
        with safe_open(str(path), "pt") as f:
            config = json.loads((f.metadata() or {})["config"])
            state = {name: f.get_tensor(name) for name in f.keys()}
    except Exception as e:  # safetensors raises its own and OS errors alike
        raise AssetError(f"{path}: not readable as Pose2Mesh weights ({e}).", "Reinstall the add-on.") from e
    state = {k: v.float() if v.is_floating_point() else v.long() for k, v in state.items()}

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

    meshnet = {k: tuple(v) if isinstance(v, list) else v for k, v in config["meshnet"].items()}
    return (PoseNet.from_state(part("posenet.")),
            TemporalNet.from_state(part("temporal."), config["temporal"]["heads"]),
            MeshNet.from_state(part("meshnet."), body or load_body(), MeshNetConfig(**meshnet)))


class TorchEngine(Network):
    engine = "torch"

    def __init__(self, device: str = "auto", weights: Path | None = None):
        self.device = torch_device(device)
        posenet, temporal, meshnet = (net.to(self.device) for net in read_weights(weights or asset_path(WEIGHTS)))
        self.shape_count = posenet.config.shape
        self._posenet, self._temporal, self._meshnet = posenet, temporal, meshnet

    @torch.no_grad()
    def _run(self, function: Callable, *arrays: np.ndarray) -> list[np.ndarray]:
        return [t.cpu().numpy() for t in function(*(torch.from_numpy(a).to(self.device) for a in arrays))]

    def lift_features(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        joints, shape, hidden = self._run(self._posenet, inputs)
        return joints, shape, hidden

    def _in_time(self, hidden: np.ndarray, joints: np.ndarray, shape: np.ndarray, path: np.ndarray, times: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
        joints, shape = self._run(self._temporal, hidden, joints, shape, path, times)
        return joints, shape

    def _template(self, joints: np.ndarray, shape: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
        return self._run(self._meshnet.pose, joints, shape, known)

    def _surface(self, frame: np.ndarray, latent: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        return self._run(lambda *inputs: [self._meshnet.surface(*inputs)], frame, latent, rotations)[0]
