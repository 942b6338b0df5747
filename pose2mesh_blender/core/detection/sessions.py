"""Loads an ONNX network for a device. No `bpy` module use."""
from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime

from ..errors import AssetError, DeviceError

_threads = 0  # of each network; 0 = as many as help

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "rocm": "ROCMExecutionProvider",
             "directml": "DmlExecutionProvider", "coreml": "CoreMLExecutionProvider", "mps": "CoreMLExecutionProvider"}


def providers_for(device: str) -> list[str]:
    """onnxruntime's providers for "auto", "cpu", "cuda", "rocm", "directml", "coreml" (or "mps"); CPU is the fallback
    for single operators.

    "auto" takes CUDA or DirectML where the installed onnxruntime has it, else the CPU: these networks are small, and
    CoreML cuts their graphs into many pieces.
    """
    available = onnxruntime.get_available_providers()
    if device == "auto":
        first = next((p for p in ("CUDAExecutionProvider", "DmlExecutionProvider") if p in available), None)
        return [*([first] if first else []), PROVIDERS["cpu"]]
    provider = PROVIDERS.get(device)
    if provider is None:
        raise DeviceError(f"There is no device {device!r}.", f"Use auto or one of {', '.join(PROVIDERS)}.")
    if provider not in available:
        raise DeviceError(f"This onnxruntime has no {provider}, which device {device!r} needs.",
                          "Choose the device auto or cpu (--device), or install the onnxruntime made for yours.")
    return [provider] if device == "cpu" else [provider, PROVIDERS["cpu"]]


def use_threads(count: int) -> None:
    """How many threads each network has that is loaded from now on; 0 = as many as help."""
    global _threads
    _threads = count


def thread_count() -> int:
    """Threads for one network. By itself at most four: the networks are small, and more do not help."""
    if _threads > 0:
        return _threads
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        cores = os.cpu_count() or 2
    return max(1, min(4, cores))


class OnnxNetwork:
    """One network. `run(array, ...)` takes its inputs and returns its outputs, both in the file's order."""

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None, spin: bool = False) -> None:
        """spin: let threads wait busily within a run; for networks whose run takes milliseconds."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or thread_count()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait between frames sleep, for Blender runs beside us: a spinning one is quicker on an idle
        # machine only, by a quarter for the small Pose2Mesh networks, and detection on a busy one took three times
        # as long.
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
        options.add_session_config_entry("session.force_spinning_stop", "1")  # not between runs
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers_for(device))
        except DeviceError:
            raise
        except Exception as error:  # onnxruntime has no common base for its errors
            reason = str(error).splitlines()[0][:160]
            raise AssetError(f"{path.name} cannot be loaded as an ONNX network ({reason}).",
                             "Choose another file, or install Pose2Mesh again.") from error
        self.input = self._session.get_inputs()[0]
        self.outputs = self._session.get_outputs()

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        return self._session.run(None, {i.name: a for i, a in zip(self._session.get_inputs(), arrays)})
