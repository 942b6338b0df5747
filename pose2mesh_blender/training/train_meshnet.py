"""Trains MeshNet on true joints and on what PoseNet makes of noisy keypoints."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..core.body import Body
from ..core.network.features import features
from ..core.network.torch_meshnet import MeshNet
from ..core.network.torch_posenet import PoseNet
from . import parallel
from .export import load_lifter
from .fit_template import fit_template
from .losses import MeshLoss
from .metrics import procrustes_error
from .pyramid import new_meshnet
from .runs import Run
from .synthetic import Batch, Motion, Sampler

TRUE_SHARE = .3  # share of samples with (nearly) true joints
FITTED = ("shape_base", "rotation_base", "turns", "growth")  # in closed form, see fit_template.py


def mesh_inputs(b: Batch, posenet: PoseNet | None, rng: np.random.Generator, true_share: float
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Joints, shape and known-shape flags: `true_share` of the samples with (nearly) true joints."""
    n = len(b.joints)
    joints, shape = torch.from_numpy(b.joints).clone(), torch.from_numpy(b.shape).clone()
    true = rng.random(n) < true_share if posenet is not None else np.ones(n, bool)
    noise = rng.normal(size=joints.shape) * rng.choice([0, .003, .01], n)[:, None, None]
    noise -= noise[:, :1]
    joints += torch.from_numpy(noise.astype(np.float32))
    shape += torch.from_numpy((rng.normal(size=shape.shape) * .3).astype(np.float32))
    if posenet is not None and not true.all():
        with torch.no_grad():
            predicted, guess, _ = posenet(torch.from_numpy(features(b.view, b.definition)))
        lifted = torch.from_numpy(~true)
        joints[lifted], shape[lifted] = predicted[lifted], guess[lifted]
    known = torch.from_numpy((rng.random((n, 1)) < np.where(true, .3, .8)[:, None]).astype(np.float32))
    return joints, shape, known


def load_posenet(folder: Path) -> PoseNet | None:
    """The averaged PoseNet of a run, finished or not."""
    return load_lifter(folder)[0] if (folder / "checkpoint.pt").exists() else None


def train_meshnet(body: Body, motion: Motion, test: Motion, posenet_folder: Path, folder: Path, minutes: float,
                  batch: int = 16, seed: int = 0, rate: float = 1e-3, start: MeshNet | None = None,
                  device: str = "cpu") -> MeshNet:
    """Trains (or resumes) for `minutes` in all; returns the averaged network. Prints one line every 250 steps.

    start: a new run begins with this network instead of one whose template has just been fitted; device: see
    parallel.start.
    """
    model = start or new_meshnet(body)
    if start is None and not (folder / "checkpoint.pt").exists():
        fit_template(model, body, motion, seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(FITTED))
    model.to(device)
    run = Run(folder, model, minutes, rate)
    every = np.arange(6890)
    sampler = Sampler(body, motion, seed + run.step + parallel.APART * parallel.rank(), extra=every)
    held_out = Sampler(body, test, seed=54321, extra=every)
    check = held_out.batch(200, frames=held_out.rng.choice(test.distinct, 200))
    criterion = MeshLoss(body).to(device)
    posenet = load_posenet(posenet_folder)
    while run.progress < 1:
        b = sampler.batch(batch)
        model.train()
        truth, true_rotations, true_shape = (torch.from_numpy(x).to(device) for x in (b.extra, b.rotations, b.shape))
        joints, shape, known = (x.to(device) for x in mesh_inputs(b, posenet, sampler.rng, TRUE_SHARE))
        frame, z, rotations, used = model.encode(joints, shape, known)
        base = model.skin(rotations, used)
        local = truth @ frame
        loss = .5 * (base - local).abs().mean()
        loss = loss + .05 * (frame[:, None] @ rotations - true_rotations).abs().mean()
        loss = loss + .002 * (used - true_shape).square().mean()
        # The template is a fixed start for the graph network: its own loss above teaches it.
        v = base.detach() + model.refine(base.detach(), z)
        loss = loss + criterion(v - (model.pelvis @ v)[:, None], local)["total"]
        run.update(loss)
        if run.step % 250 == 0:
            posenet = load_posenet(posenet_folder)
        if run.step % 250 == 0 and parallel.rank() == 0:
            print(f"step {run.step}  {run.elapsed / 60:.1f} of {minutes:g} min  loss {loss.item():.4f}  "
                  + "  ".join(evaluate(run.result, posenet, check)), flush=True)
            run.save()
    run.save()
    return run.result


@torch.no_grad()
def evaluate(model: MeshNet, posenet: PoseNet | None, b: Batch) -> list[str]:
    """MPVPE / PA-MPVPE in mm from true and from lifted joints; the template's own MPVPE in brackets."""
    model.eval()
    out = []
    for name, net in (("true", None), ("lifted", posenet)):
        if name == "lifted" and net is None:
            continue
        if net is None:
            joints, shape, known = torch.from_numpy(b.joints), torch.from_numpy(b.shape), torch.zeros(len(b.joints), 1)
        else:
            joints, shape, _ = net(torch.from_numpy(features(b.view, b.definition)))
            known = torch.ones(len(joints), 1)
        errors = []
        for i in range(0, len(joints), 50):
            s = slice(i, i + 50)
            v = model(joints[s], shape[s], known[s])
            frame, _, rotations, used = model.encode(joints[s], shape[s], known[s])
            base = model.skin(rotations, used) @ frame.transpose(1, 2)
            t = b.extra[s]
            errors.append([np.linalg.norm(v.numpy() - t, axis=-1).mean(), procrustes_error(v.numpy(), t).mean(),
                           np.linalg.norm(base.numpy() - t, axis=-1).mean()])
        mpvpe, pa, template = np.mean(errors, 0) * 1000
        out.append(f"{name} {mpvpe:.1f} / {pa:.1f} ({template:.1f})")
    return out
