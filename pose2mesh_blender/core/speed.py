"""Whether a device works here, and how fast: everything once, timed. No `bpy` module use."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from .errors import Pose2MeshError

ROUNDS = 5
FRAMES = 4


def try_device(device: str) -> dict:
    """{"engine", "detect_ms", "mesh_ms", "message"}: milliseconds per frame; message says why it does not work.

    Whatever a driver raises is in the message; nothing is raised here.
    """
    from .detection import PoseEstimator
    from .network.engine import load_network

    try:
        network = load_network(device)
        estimator = PoseEstimator(device="auto" if network.engine == "torch" else device)
        image = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
        box = np.array([200.0, 40, 440, 340])
        keypoints = np.concatenate([np.random.default_rng(0).uniform(100, 300, (FRAMES, 23, 2)),
                                    np.ones((FRAMES, 23, 1))], 2).astype(np.float32)
        camera = np.array([[500.0, 0, 320], [0, 500, 180], [0, 0, 1]])

        def mesh() -> None:
            lift = network.lift(keypoints, camera)
            network.mesh(lift.joints, lift.shape)

        return {"engine": network.engine, "detect_ms": _median(lambda: estimator.estimate_in(image, box)),
                "mesh_ms": _median(mesh) / FRAMES, "message": ""}
    except Pose2MeshError as error:
        message = str(error)
    except Exception as error:  # a driver's own errors have no common base
        message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return {"engine": "", "detect_ms": 0.0, "mesh_ms": 0.0, "message": message}


def _median(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)
