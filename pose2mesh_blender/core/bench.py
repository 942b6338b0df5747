"""Speed as ratios measured within one run, the same on a slow and on a busy machine. No `bpy` module use."""
from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .errors import FootageError
from .footage import open_footage
from .network.engine import load_network
from .pipeline import Engines, Settings, run

DEMO = Path("tests") / "data" / "demo" / "demo.mp4"


def demo_clip() -> Path:
    """The bundled clip of a checkout."""
    path = Path(__file__).resolve().parents[2] / DEMO
    if not path.is_file():
        raise FootageError(f"{path} is not there: the demo clip comes with the repository, not with the package.",
                           "Give footage of your own: pose2mesh bench --clip FILE.")
    return path


def milliseconds(work: Callable[[], object], seconds: float = 1.5, fewest: int = 3) -> float:
    """Median duration of one call, after a call that warms up."""
    work()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < fewest or time.perf_counter() - begun < seconds:
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return 1000 * statistics.median(times)


def bench_network() -> dict[str, float]:
    """Keypoints to vertices, one person, one frame at a time: ms of PoseNet, MeshNet and both."""
    network = load_network("cpu")
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(200, 500, (1, 23, 2)), np.ones((1, 23, 1))], 2).astype(np.float32)
    camera = np.array([[800.0, 0, 320], [0, 800, 320], [0, 0, 1]])
    lift = network.lift(keypoints, camera)

    def both() -> None:
        found = network.lift(keypoints, camera)
        network.mesh(found.joints, found.shape)

    return {"lift_ms": milliseconds(lambda: network.lift(keypoints, camera)),
            "mesh_ms": milliseconds(lambda: network.mesh(lift.joints, lift.shape)), "network_ms": milliseconds(both)}


def bench_clip(clip: Path, preset: str = "accurate", people: int | None = None) -> dict[str, float]:
    """Footage to meshes: ms per frame of detection alone, and of everything."""
    marks: dict[str, float] = {}

    def progress(stage: str, done: int, total: int) -> None:
        marks.setdefault(f"{stage} begins", time.perf_counter())
        marks[f"{stage} ends"] = time.perf_counter()

    engines, settings = Engines(), Settings(preset=preset, device="cpu", people=people)
    engines.estimator(preset, "cpu"), engines.network("cpu")
    footage = open_footage(clip)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        take = run(clip, Path(folder) / "take", settings, progress, engines=engines)
        ended = time.perf_counter()
        frames = len(take)
    first = engines.estimator(preset, "cpu")
    first.reset()
    before = time.perf_counter()
    for frame in footage.frames():
        first.estimate(frame.image)
    alone = time.perf_counter() - before
    return {"frames": frames, "detection_ms_per_frame": 1000 * alone / frames,
            "end_to_end_ms_per_frame": 1000 * (ended - begun) / frames, "end_to_end_ratio": (ended - begun) / alone}
