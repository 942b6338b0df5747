"""Training in several processes: one clock, the same weights, files by the first only."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

WORK = """
import sys
from pathlib import Path
import torch
from pose2mesh_blender.training import parallel
from pose2mesh_blender.training.runs import Run

assert parallel.start("cpu") == "cpu"
torch.manual_seed(parallel.rank())  # everybody begins with other weights and draws other samples
run = Run(Path(sys.argv[1]), torch.nn.Linear(3, 1), float(sys.argv[2]), rate=.05)
before = run.step
while run.progress < 1:
    x = torch.randn(32, 3)
    run.update((run.model(x) - x.sum(1, keepdim=True) - 2).square().mean())
run.save()
found = f"{before} {run.step} {run.elapsed} {run.model.weight.tolist()}"
(Path(sys.argv[1]) / f"{parallel.rank()}.txt").write_text(found)
parallel.stop()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def train(tmp_path: Path, root: Path):
    """Runs WORK under torchrun for so many minutes; returns what each process wrote."""
    (tmp_path / "work.py").write_text(WORK)

    def run(processes: int, minutes: float) -> list[str]:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes),
                   "--master_port", str(free_port()), str(tmp_path / "work.py"), str(tmp_path / "run"), str(minutes)]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}, timeout=300,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [(tmp_path / "run" / f"{rank}.txt").read_text() for rank in range(processes)]

    return run


def test_two_processes_agree_and_go_on_in_one(train, tmp_path: Path) -> None:
    one, other = train(2, .01)
    assert one == other, "another number of steps, another clock or other weights"
    assert one.split()[0] == "0" and int(one.split()[1]) > 0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["0.txt", "1.txt", "checkpoint.pt"]
    before = train(1, .02)[0].split()[0]
    assert before == one.split()[1], "a run begun by two processes goes on in one"


def test_gpus_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from pose2mesh_blender.core.errors import DeviceError
    from pose2mesh_blender.training import parallel

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match="nproc_per_node 1"):
        parallel.start("cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(DeviceError, match="one process"):
        parallel.start("mps")
