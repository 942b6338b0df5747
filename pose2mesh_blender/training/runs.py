"""Resumable runs: time-based schedule, averaged weights, checkpoints that survive a kill; in one or more processes."""
from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from . import parallel


@dataclass
class Run:
    """One training run in a folder. The learning rate follows a cosine over `minutes` of training time, so that a run
    always ends annealed however fast the machine is."""

    folder: Path
    model: nn.Module
    minutes: float
    rate: float = 1e-3
    decay: float = 1e-4
    clock: Callable[[], float] = time.monotonic  # what `minutes` are minutes of
    step: int = 0
    elapsed: float = 0.0  # seconds trained, over all sessions
    average: nn.Module = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        parallel.share_weights(self.model)
        self.average = copy.deepcopy(self.model).eval()
        self.optimiser = torch.optim.AdamW(self.model.parameters(), self.rate, weight_decay=self.decay)
        if self.path.exists():
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.elapsed = state["step"], state["elapsed"]
        self._last = self.clock()

    @property
    def path(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def progress(self) -> float:
        return min(1.0, self.elapsed / (self.minutes * 60))

    @property
    def result(self) -> nn.Module:
        """The averaged network, on the CPU."""
        on_cpu = next(self.average.parameters()).device.type == "cpu"
        return self.average if on_cpu else copy.deepcopy(self.average).cpu()

    def update(self, loss: torch.Tensor) -> None:
        """One optimiser step, with warm-up, cosine decay, clipped gradients and an averaged copy of the weights."""
        scale = min(1.0, self.progress / 0.02) * (0.5 + 0.5 * math.cos(math.pi * self.progress))
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * scale + 1e-7
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parallel.average_gradients(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        keep = min(0.999, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for a, b in zip(self.average.state_dict().values(), self.model.state_dict().values()):
                if a.dtype.is_floating_point:
                    a.lerp_(b, 1 - keep)
                else:
                    a.copy_(b)
        now = self.clock()
        # One clock for all, so that all have the same learning rate and stop at the same step.
        self.elapsed = parallel.from_first(self.elapsed + min(now - self._last, 60.0), loss)
        self._last = now
        self.step += 1

    def save(self) -> None:
        """Writes the checkpoint, in the first process only."""
        if parallel.rank():
            return
        tmp = self.path.with_suffix(".tmp")
        torch.save({"model": self.model.state_dict(), "average": self.average.state_dict(),
                    "optimiser": self.optimiser.state_dict(), "step": self.step, "elapsed": self.elapsed}, tmp)
        os.replace(tmp, self.path)
