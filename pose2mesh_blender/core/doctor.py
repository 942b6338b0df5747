"""What this installation can do: versions, bundled files, engines, devices. No `bpy` module use."""
from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata

from . import assets
from .errors import Pose2MeshError

NEEDED = ("numpy", "onnxruntime", "av")
OPTIONAL = {"rich": "progress bars", "cv2": "overlay pictures", "bpy": ".blend .fbx .glb .usdc .abc files",
            "torch": "training, GPU engine", "smplx": "comparison with the reference body"}
_DISTRIBUTIONS = {"cv2": "opencv-python-headless"}


@dataclass
class Check:
    """One line of the report; level: "ok", "note" (works, but something is missing) or "broken"."""

    group: str
    name: str
    level: str
    detail: str


def examine() -> list[Check]:
    """Looks at everything; never raises for what is broken, that is in the report."""
    return [*_system(), *_packages(), *_assets(), *_engines()]


def _system() -> list[Check]:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    return [Check("system", "Python", "ok", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
            Check("system", "processors", "ok", f"{os.cpu_count()}"),
            Check("system", "disk", "ok" if free > 2 else "note", f"{free:.1f} GB free here")]


def _packages() -> list[Check]:
    checks = []
    for name in (*NEEDED, *OPTIONAL):
        if importlib.util.find_spec(name) is None:
            level = "broken" if name in NEEDED else "note"
            purpose = OPTIONAL.get(name, "everything")
            checks.append(Check("packages", name, level, f"not installed (needed for {purpose})"))
            continue
        try:
            version = metadata.version(_DISTRIBUTIONS.get(name, name))
        except metadata.PackageNotFoundError:
            version = getattr(sys.modules.get(name), "__version__", "version unknown")
        checks.append(Check("packages", name, "ok", version))
    return checks


def _assets() -> list[Check]:
    checks = [Check("bundled files", name, "ok" if good else "broken", message)
              for name, good, message in assets.verify_all()]
    texts = [c for c in checks if c.level == "ok" and c.name.startswith("LICENSES/")]
    summary = [Check("bundled files", "licence texts", "ok", f"{len(texts)} files")] if texts else []
    return summary + [c for c in checks if c not in texts]


def _engines() -> list[Check]:
    checks = []
    try:
        import onnxruntime

        providers = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
        checks.append(Check("engines", "onnxruntime", "ok", ", ".join(providers)))
    except ImportError as error:
        checks.append(Check("engines", "onnxruntime", "broken", str(error)))
    if importlib.util.find_spec("torch") is not None:
        import torch

        devices = ["cpu"]
        if torch.cuda.is_available():
            devices += [f"cuda: {torch.cuda.get_device_name(0)}"]
        if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
            devices.append("mps")
        checks.append(Check("engines", "torch", "ok", ", ".join(devices)))
    for name, load in (("person detector", _try_detector), ("pose2mesh network", _try_network),
                       ("body", _try_body)):
        try:
            checks.append(Check("engines", name, "ok", load()))
        except Pose2MeshError as error:
            checks.append(Check("engines", name, "broken", str(error)))
        except Exception as error:  # whatever a broken installation raises belongs in the report
            checks.append(Check("engines", name, "broken", f"{type(error).__name__}: {error}"))
    return checks


def _try_detector() -> str:
    import numpy as np

    from .detection import PoseEstimator

    found = PoseEstimator(preset="fast").estimate(np.zeros((64, 64, 3), np.uint8))
    return f"runs; {len(found)} people in a black picture"


def _try_network() -> str:
    from .network.engine import load_network

    network = load_network()
    return f"{network.engine} on {network.device}"


def _try_body() -> str:
    from .body import load_body

    return f"{len(load_body().v_template)} vertices"
