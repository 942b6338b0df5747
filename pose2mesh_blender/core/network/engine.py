"""The Pose2Mesh network behind one interface: ONNX Runtime by default, torch where it has a GPU. No `bpy` module use.

2D keypoints -> `lift_take` (PoseNet, then its temporal part) -> 3D joints -> `mesh` (MeshNet: template, then surface)
-> vertices. `lift` is PoseNet alone, for stills.
"""
from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..assets import asset_path, load_index, models_dir
from ..camera import Normalised, confidence_of, normalise, pixels_to_rays
from ..detection.sessions import PROVIDERS, OnnxNetwork, providers_for
from ..errors import DeviceError
from .features import features, mirror_features, path_features
from .joints import FLIP
from .windows import over_windows

POSENET, TEMPORAL = "pose2mesh_posenet.onnx", "pose2mesh_temporal.onnx"
TEMPLATE, SURFACE = "pose2mesh_template.onnx", "pose2mesh_surface.onnx"
WEIGHTS = "pose2mesh.safetensors"  # the same for torch
LEGS = np.array([[1, 4, 7], [2, 5, 8]])  # smpl24: hip, knee, ankle; left and right
TOES = (10, 11)
TORCH_DEVICES = ("cuda", "rocm", "mps")


class Lift(NamedTuple):
    joints: np.ndarray  # (N, 71, 3) metres, root-relative, camera axes; names in joints.py
    shape: np.ndarray  # (N, K) body shape, standard deviations


class Mesh(NamedTuple):
    vertices: np.ndarray  # (N, 6890, 3) metres, H36M pelvis at 0, camera axes
    rotations: np.ndarray  # (N, 24, 3, 3) global joint rotations of the template under the surface, camera axes
    shape: np.ndarray  # (N, K) the shape that was used


class Network(ABC):
    """Both stages on one device. `hashes`: file -> sha256 of the weights in use."""

    engine: str
    device: str
    shape_count: int

    @property
    def hashes(self) -> dict[str, str]:
        names = (POSENET, TEMPORAL, TEMPLATE, SURFACE) if self.engine == "onnx" else (WEIGHTS,)
        return {e["file"]: e["sha256"] for e in load_index()["assets"] if e["file"] in names}

    def lift(self, keypoints: np.ndarray, intrinsics: np.ndarray, definition: float = 1.0) -> Lift:
        """keypoints (N, 23, 3) body23 pixels + confidence (NaN / 0 = absent), intrinsics (3, 3) -> joints and shape.

        definition: 1 for the bundled detectors' idea of hips, knees and ankles, 0 for keypoints from elsewhere.
        """
        view = _view(keypoints, intrinsics)
        joints, shape, _ = (_pair(x) for x in self.lift_features(_with_mirror(features(view, definition))))
        joints, shape = _unmirrored(joints), shape.mean(0)
        return Lift(joints @ view.rotation.transpose(0, 2, 1).astype(np.float32), shape)

    def lift_take(self, keypoints: np.ndarray, timestamps: np.ndarray, intrinsics: np.ndarray, definition: float = 1.0
                  ) -> Lift:
        """The same for one person over a whole take, every frame with its neighbours in mind; timestamps (T,) seconds.

        Frames without keypoints are filled in from those around them.
        """
        view = _view(keypoints, intrinsics)
        joints, shape, hidden = (_pair(x) for x in self.lift_features(_with_mirror(features(view, definition))))
        seconds = np.asarray(timestamps, np.float64)

        def solve(rows: np.ndarray) -> tuple[np.ndarray, ...]:
            part = Normalised(*(a[rows] for a in view))
            times = (seconds[rows] - seconds[rows[0]]).astype(np.float32)
            path = np.concatenate([path_features(part, (1, len(rows)))] * 2)
            path[1, :, 0] *= -1
            found = self._in_time(hidden[:, rows], joints[:, rows], shape[:, rows], path, np.stack([times, times]))
            return _unmirrored(found[0]), found[1].mean(0)

        joints, shape = over_windows(solve, seconds)
        return Lift(joints @ view.rotation.transpose(0, 2, 1).astype(np.float32), shape)

    def mesh(self, joints: np.ndarray, shape: np.ndarray | None = None, legs: np.ndarray | None = None) -> Mesh:
        """joints (N, 71, 3) metres, root-relative -> mesh in the same axes; shape (N, K), None = guess it.

        legs: (N, 2, 3, 3, 3) rotations in these axes that turn thigh, shin and foot of the left and the right leg; the
        toes are then straight.
        """
        frame, latent, rotations, _ = self._pose(joints, shape)
        if legs is not None:
            turns = frame[:, None, None].swapaxes(-1, -2) @ legs.astype(np.float32) @ frame[:, None, None]
            rotations = rotations.copy()
            rotations[:, LEGS] = turns @ rotations[:, LEGS]
            rotations[:, TOES] = rotations[:, LEGS[:, 2]]
        return Mesh(self._surface(frame, latent, rotations), frame[:, None] @ rotations, latent[:, -self.shape_count:])

    def points(self, joints: np.ndarray, shape: np.ndarray | None = None) -> np.ndarray:
        """joints as for `mesh` -> the points (N, 71, 3) of the template under the mesh: one body, whole bones."""
        return self._pose(joints, shape)[3]

    def posture(self, joints: np.ndarray, shape: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """joints as for `mesh` -> `points` (N, 71, 3) and the global joint rotations (N, 24, 3, 3), same axes."""
        frame, _, rotations, points = self._pose(joints, shape)
        return points, frame[:, None] @ rotations

    def _pose(self, joints: np.ndarray, shape: np.ndarray | None) -> list[np.ndarray]:
        n = len(joints)
        known = np.full((n, 1), shape is not None, np.float32)
        shape = np.zeros((n, self.shape_count), np.float32) if shape is None else np.asarray(shape, np.float32)
        return self._template(np.ascontiguousarray(joints, np.float32), shape, known)

    @abstractmethod
    def lift_features(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """PoseNet itself: features (N, 71) -> joints (N, 71, 3) in the virtual camera's axes, shape (N, K) and the
        hidden layer that the temporal part reads (N, W)."""

    @abstractmethod
    def _in_time(self, hidden: np.ndarray, joints: np.ndarray, shape: np.ndarray, path: np.ndarray, times: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
        """PoseNet's temporal part on takes (B, T, ...): better joints and shape; path and times see features.py."""

    @abstractmethod
    def _template(self, joints: np.ndarray, shape: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
        """MeshNet's first half: body frame (N, 3, 3), latent, rotations in that frame, points in the joints' axes."""

    @abstractmethod
    def _surface(self, frame: np.ndarray, latent: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """MeshNet's second half: vertices (N, 6890, 3)."""


class OnnxEngine(Network):
    """ONNX Runtime: the bundled default, on the CPU or any provider that is installed."""

    engine = "onnx"

    def __init__(self, device: str = "auto", folder: Path | None = None):
        """folder: where another network was exported to; None = the bundled one."""
        self.device = device if device != "auto" else _name_of(providers_for("auto")[0])
        self._networks = [OnnxNetwork(folder / name if folder else asset_path(name), device, spin=True)
                          for name in (POSENET, TEMPORAL, TEMPLATE, SURFACE)]
        self.shape_count = self._networks[0].outputs[1].shape[1]

    def lift_features(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        joints, shape, hidden = self._networks[0].run(inputs)
        return joints, shape, hidden

    def _in_time(self, hidden: np.ndarray, joints: np.ndarray, shape: np.ndarray, path: np.ndarray, times: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
        joints, shape = self._networks[1].run(hidden, joints, shape, path, times)
        return joints, shape

    def _template(self, joints: np.ndarray, shape: np.ndarray, known: np.ndarray) -> list[np.ndarray]:
        return self._networks[2].run(joints, shape, known)

    def _surface(self, frame: np.ndarray, latent: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        return self._networks[3].run(frame, latent, rotations)[0]


def load_network(device: str = "auto") -> Network:
    """The network on `device`: auto, cpu, cuda, rocm, mps, coreml or directml.

    auto: a GPU where one is ready for use (through torch when it is installed), else the CPU. Raises DeviceError when
    the device that was asked for is not there, AssetError when the weights are missing or not ours.
    """
    torch_ready = all(importlib.util.find_spec(name) is not None for name in ("torch", "safetensors"))
    torch_ready = torch_ready and (models_dir() / WEIGHTS).is_file()  # Blender's zip has the ONNX files only
    if device == "auto":
        if torch_ready and providers_for("auto")[0] == PROVIDERS["cpu"] and _gpu_likely():
            from .torch_engine import TorchEngine, torch_device

            if torch_device("auto") != "cpu":
                return TorchEngine("auto")
        return OnnxEngine("auto")
    try:
        return OnnxEngine(device)
    except DeviceError:
        if device not in TORCH_DEVICES or not torch_ready:
            raise
    from .torch_engine import TorchEngine

    return TorchEngine(device)


def _view(keypoints: np.ndarray, intrinsics: np.ndarray) -> Normalised:
    keypoints = np.asarray(keypoints, np.float64)
    return normalise(pixels_to_rays(keypoints[..., :2], intrinsics), confidence_of(keypoints))


def _with_mirror(inputs: np.ndarray) -> np.ndarray:
    """(N, F) -> (2 N, F). Every person is also lifted in a mirror and both answers are averaged: a millimetre better,
    and mirrored footage gives the mirrored mesh."""
    return np.concatenate([inputs, mirror_features(inputs)])


def _pair(outputs: np.ndarray) -> np.ndarray:
    return outputs.reshape(2, -1, *outputs.shape[1:])


def _unmirrored(joints: np.ndarray) -> np.ndarray:
    """(2, N, 71, 3), the second seen in a mirror -> the mean (N, 71, 3)."""
    return (joints[0] + joints[1][:, FLIP] * np.array([-1, 1, 1], np.float32)) / 2


def _name_of(provider: str) -> str:
    return next(name for name, p in PROVIDERS.items() if p == provider)


def _gpu_likely() -> bool:
    """Importing torch takes seconds: only where its GPU could be."""
    if sys.platform.startswith("linux"):
        return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
    return True
