"""Writes the shipped network: pose2mesh.safetensors and four ONNX files, from the two runs' averaged weights."""
from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from safetensors.torch import save_file

from ..core.body import Body
from ..core.network.engine import POSENET, SURFACE, TEMPLATE, TEMPORAL, WEIGHTS
from ..core.network.features import PATH_WIDTH, WIDTH
from ..core.network.joints import COUNT
from ..core.network.torch_engine import read_weights
from ..core.network.torch_meshnet import MeshNet, MeshNetConfig
from ..core.network.torch_posenet import PoseNet, TemporalNet
from .half import store_half

SHARED = ("joint_convs.0.graph.", "joint_convs.1.graph.", "offset.graph.")  # the same operators under other names
HALF_FROM = 64  # smaller tensors (norms, biases of 3) stay in single precision


def averaged(folder: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a run."""
    return torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_floating_point():
        return tensor.half() if tensor.dim() > 1 else tensor.float()
    return tensor.int()


def export(posenet: PoseNet, temporal: TemporalNet, meshnet: MeshNet, body: Body, folder: Path) -> None:
    """Writes the five files into `folder`; body: the one they were trained on.

    The ONNX files are made from the weights as stored, so that every engine computes with the same numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = {"posenet": posenet, "temporal": temporal, "meshnet": meshnet}
    config = json.dumps({name: dataclasses.asdict(model.config) for name, model in parts.items()})
    state = {f"{prefix}.{k}": _compact(v).contiguous() for prefix, model in parts.items()
             for k, v in model.state_dict().items() if not k.startswith(SHARED)}
    save_file(state, folder / WEIGHTS, {"config": config, "format": "pt"})
    posenet, temporal, meshnet = read_weights(folder / WEIGHTS, body)
    with torch.no_grad():
        _to_onnx(posenet, (torch.zeros(2, WIDTH),), ["features"], ["joints", "shape", "hidden"], folder / POSENET)
        takes = (torch.zeros(2, 5, posenet.config.width), torch.zeros(2, 5, COUNT, 3),
                 torch.zeros(2, 5, posenet.config.shape), torch.zeros(2, 5, PATH_WIDTH), torch.zeros(2, 5))
        _to_onnx(temporal, takes, ["hidden", "joints", "shape", "path", "times"], ["new_joints", "new_shape"],
                 folder / TEMPORAL, {0: "takes", 1: "frames"})
        joints = (torch.randn(2, COUNT, 3) * .3, torch.zeros(2, posenet.config.shape), torch.ones(2, 1))
        halves = _Half(meshnet, "pose"), _Half(meshnet, "surface")
        posed = ["frame", "latent", "rotations"]
        _to_onnx(halves[0], joints, ["joints", "shape", "known"], [*posed, "points"], folder / TEMPLATE)
        _to_onnx(halves[1], halves[0](*joints)[:3], posed, ["vertices"], folder / SURFACE)


class _Half(torch.nn.Module):
    """One half of MeshNet as a module of its own."""

    def __init__(self, meshnet: MeshNet, method: str):
        super().__init__()
        self.meshnet, self.method = meshnet, method

    def forward(self, *inputs: torch.Tensor):
        return getattr(self.meshnet, self.method)(*inputs)


def _to_onnx(model: torch.nn.Module, example: tuple, inputs: list[str], outputs: list[str], path: Path,
             axes: dict[int, str] | None = None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model.eval(), example, str(path), input_names=inputs, output_names=outputs, opset_version=17,
                          dynamic_axes={name: axes or {0: "batch"} for name in inputs + outputs}, dynamo=False,
                          training=torch.onnx.TrainingMode.PRESERVE)  # no folding: weights stay as they were stored
    onnx_model = onnx.load(path)
    store_half(onnx_model, HALF_FROM)
    onnx_model.ir_version = min(onnx_model.ir_version, 10)
    onnx.checker.check_model(onnx_model)
    onnx.save(onnx_model, path)


def load_runs(posenet_folder: Path, meshnet_folder: Path, body: Body) -> tuple[PoseNet, TemporalNet, MeshNet]:
    """The averaged networks of two runs, trained on `body`."""
    return (*load_lifter(posenet_folder),
            MeshNet.from_state(averaged(meshnet_folder), body, MeshNetConfig(shape=len(body.shapedirs))))


def load_lifter(folder: Path) -> tuple[PoseNet, TemporalNet]:
    """The averaged PoseNet of a run, finished or not."""
    state = averaged(folder)

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

    return PoseNet.from_state(part("posenet.")), TemporalNet.from_state(part("temporal."))
