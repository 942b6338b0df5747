"""Trains PoseNet on samples drawn as it goes."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..core.body import Body
from ..core.network import joints as J
from ..core.network.features import features
from ..core.network.torch_posenet import PoseNet, PoseNetConfig
from .metrics import procrustes_error
from .runs import Run
from .synthetic import Motion, Sampler

# Ends of limbs matter most to the eye and are hardest.
WEIGHTS = np.ones(J.COUNT, np.float32)
ENDS = ("wrist", "ankle", "hand", "foot", "knee", "elbow")
WEIGHTS[[i for i, n in enumerate(J.NAMES) if any(end in n for end in ENDS)]] = 1.3


def train_posenet(body: Body, motion: Motion, test: Motion, folder: Path, minutes: float, batch: int = 256,
                  seed: int = 0, rate: float = 1e-3, start: PoseNet | None = None) -> PoseNet:
    """Trains (or resumes) for `minutes` in all; returns the averaged network. Prints one line every 500 steps.

    start: a new run begins with this network instead of a random one.
    """
    run = Run(folder, start or PoseNet(PoseNetConfig(shape=len(body.shapedirs))), minutes, rate)
    sampler = Sampler(body, motion, seed + run.step)
    held_out = Sampler(body, test, seed=12345)
    frames = held_out.rng.choice(test.distinct, 1500)
    checks = {"noisy": held_out.batch(1500, frames=frames), "clean": held_out.batch(1500, clean=True, frames=frames)}
    weights = torch.from_numpy(WEIGHTS)[:, None]
    while run.progress < 1:
        b = sampler.batch(batch)
        joints, shape = run.model.train()(torch.from_numpy(features(b.view, b.definition)))
        loss = ((joints - torch.from_numpy(b.joints)).abs() * weights).mean()
        run.update(loss + 0.003 * (shape - torch.from_numpy(b.shape)).square().mean())
        if run.step % 500 == 0:
            scores = ["{} {:.1f} / {:.1f}".format(name, *evaluate(run.average, c)) for name, c in checks.items()]
            print(f"step {run.step}  {run.elapsed / 60:.1f} of {minutes:g} min  loss {loss.item() * 1000:.1f} mm  "
                  f"MPJPE / PA: {', '.join(scores)}", flush=True)
            run.save()
    run.save()
    return run.average


@torch.no_grad()
def evaluate(model: PoseNet, b) -> tuple[float, float]:
    """MPJPE and PA-MPJPE, mm, over the 17 H36M joints."""
    joints = model.eval()(torch.from_numpy(features(b.view, b.definition)))[0].numpy()[:, J.H36M]
    truth = b.joints[:, J.H36M]
    plain = np.linalg.norm(joints - truth, axis=-1)
    return float(plain.mean() * 1000), float(procrustes_error(joints, truth).mean() * 1000)
