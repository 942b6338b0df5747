"""Speed as ratios measured within one run, the same on a slow and on a busy machine. No `bpy` module use."""
from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .errors import Cancelled, FootageError
from .footage import open_footage
from .network.engine import load_network
from .pipeline import Engines, Settings, run
from .resolve import Memory, resolve
from .skeletons import BODY23
from .take import Take

DEMO = Path("tests") / "data" / "demo" / "demo.mp4"


def demo_clip() -> Path:
    """The bundled clip of a checkout."""
    path = Path(__file__).resolve().parents[2] / DEMO
    if not path.is_file():
        raise FootageError(f"{path} is not there: the demo clip comes with the repository, not with the package.",
                           "Give footage of your own: pose2mesh bench --clip FILE.")
    return path


def medians(works: dict[str, Callable[[], object]], seconds: float = 8.0, fewest: int = 5) -> dict[str, float]:
    """Median ms of each call. They take turns, so that what else the machine does slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    begun, rounds = time.perf_counter(), 0
    while rounds < fewest or time.perf_counter() - begun < seconds:
        for name, work in works.items():
            work()  # the turn's first call finds the caches full of the other's data
            before = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - before)
        rounds += 1
    return {name: 1000 * statistics.median(values) for name, values in times.items()}


def bench_network(reference: Callable[[], object] | None = None) -> dict[str, float]:
    """Keypoints to vertices, one person, one frame at a time: ms of PoseNet, MeshNet and both.

    reference: one pass of the reference-size network; adds reference_ms and ratio.
    """
    network = load_network("cpu")
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(200, 500, (1, 23, 2)), np.ones((1, 23, 1))], 2).astype(np.float32)
    camera = np.array([[800.0, 0, 320], [0, 800, 320], [0, 0, 1]])
    lift = network.lift(keypoints, camera)

    def both() -> None:
        found = network.lift(keypoints, camera)
        network.mesh(found.joints, found.shape)

    works: dict[str, Callable[[], object]] = {
        "lift_ms": lambda: network.lift(keypoints, camera), "mesh_ms": lambda: network.mesh(lift.joints, lift.shape),
        "network_ms": both}
    if reference:
        works["reference_ms"] = reference
    result = medians(works)
    if reference:
        result["ratio"] = result["reference_ms"] / result["network_ms"]
    return result


def bench_clip(clip: Path, preset: str = "accurate", people: int | None = None) -> dict[str, float]:
    """Footage to meshes: ms per frame of detection alone, and of everything; twice, in turns, the quicker of each.

    ratio compares times; processor_ratio compares the processors' work, which other programs hardly change.
    """
    engines, settings = Engines(), Settings(preset=preset, device="cpu", people=people)
    estimator, _ = engines.estimator(preset, "cpu"), engines.network("cpu")
    footage = open_footage(clip)

    def detect() -> int:
        estimator.reset()
        return sum(len(estimator.estimate(frame.image)) >= 0 for frame in footage.frames())

    def everything() -> int:
        with tempfile.TemporaryDirectory() as folder:
            return len(run(clip, Path(folder) / "take", settings, engines=engines))

    best: dict[str, float] = {}
    for _ in range(2):
        for name, work in (("detection", detect), ("end_to_end", everything)):
            before = time.perf_counter(), time.process_time()
            frames = work()
            passed = time.perf_counter() - before[0], time.process_time() - before[1]
            for clock, seconds in zip((name, f"{name}_cpu"), passed):
                took = 1000 * seconds / frames
                best[clock] = min(took, best.get(clock, took))
    return {"frames": frames, "detection_ms_per_frame": best["detection"],
            "end_to_end_ms_per_frame": best["end_to_end"], "ratio": best["end_to_end"] / best["detection"],
            "processor_ratio": best["end_to_end_cpu"] / best["detection_cpu"]}


def bench_drag(clip: Path, steps: int = 12) -> dict[str, float]:
    """A wrist's marker dragged while Live Re-solve is on: ms from the request to the stored mesh of its frame, in the
    worker's process, and ms of processor; medians of the last half."""
    network = load_network("cpu")
    memory, wrist, took = Memory(), BODY23.index("left_wrist"), []
    with tempfile.TemporaryDirectory() as folder:
        run(clip, Path(folder) / "take", Settings(preset="fast", device="cpu", people=1)).close()
        for _ in range(steps):
            told: list[tuple[float, float]] = []
            before = time.perf_counter(), time.process_time()

            def finished(person: int, rows: np.ndarray) -> None:
                told.append((time.perf_counter() - before[0], time.process_time() - before[1]))  # noqa: B023

            with Take.open(Path(folder) / "take", write=True) as take:
                person, row = take.people[0], len(take) // 2
                keypoints = take.keypoints(person)
                moved = [*(keypoints[row, wrist, :2] + 3), 1.0]
                edits = take.edits(person).changed(np.array([row]), np.array([wrist]), np.array([moved]),
                                                   keypoints)
                with contextlib.suppress(Cancelled):  # the next step comes before the neighbours are solved
                    resolve(take, {person: edits}, network, focus=row, memory=memory, finished=finished,
                            cancelled=lambda: bool(told))  # noqa: B023
            took.append(told[0])
    wall, processor = np.median(np.array(took[steps // 2:]), 0) * 1000
    return {"drag_ms": float(wall), "drag_processor_ms": float(processor)}
