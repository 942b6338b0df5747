"""Trains MeshNet on true joints and on what PoseNet makes of noisy keypoints."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..core.body import Body
from ..core.network.torch_meshnet import MeshNet
from ..core.network.torch_posenet import PoseNet
from . import parallel
from .export import load_lifter
from .fit_template import fit_template
from .losses import MeshLoss
from .metrics import procrustes_error
from .pyramid import new_meshnet
from .runs import Run
from .sequences import SequenceSampler, Takes
from .synthetic import Motion
from .train_posenet import frame_features

TRUE_SHARE = .3  # share of samples with (nearly) true joints
FITTED = ("shape_base", "rotation_base", "turns", "growth")  # in closed form, see fit_template.py


def true_mesh(takes: Takes, body: Body) -> np.ndarray:
    """Takes of one frame -> (N, 6890, 3) root-relative, in the axes of their joints."""
    vertices, _ = body.pose(takes.rotations[:, 0], takes.shape)
    return (vertices - body.regress("h36m17", vertices)[:, :1]).astype(np.float32)


def mesh_inputs(takes: Takes, posenet: PoseNet | None, rng: np.random.Generator, true_share: float
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Takes of one frame -> joints, shape and known-shape flags: `true_share` with (nearly) true joints."""
    n = len(takes.shape)
    joints, shape = torch.from_numpy(takes.joints[:, 0]).clone(), torch.from_numpy(takes.shape).clone()
    true = rng.random(n) < true_share if posenet is not None else np.ones(n, bool)
    noise = rng.normal(size=joints.shape) * rng.choice([0, .003, .01], n)[:, None, None]
    noise -= noise[:, :1]
    joints += torch.from_numpy(noise.astype(np.float32))
    shape += torch.from_numpy((rng.normal(size=shape.shape) * .3).astype(np.float32))
    if posenet is not None and not true.all():
        with torch.no_grad():
            predicted, guess, _ = posenet(torch.from_numpy(frame_features(takes)))
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
    sampler = SequenceSampler(body, motion, seed + run.step + parallel.APART * parallel.rank())
    held_out = SequenceSampler(body, test, seed=54321)
    check = held_out.batch(200, 1, centres=held_out.rng.choice(test.distinct, 200))
    criterion = MeshLoss(body).to(device)
    posenet = load_posenet(posenet_folder)
    while run.progress < 1:
        takes = sampler.batch(batch, 1)
        model.train()
        truth, true_rotations, true_shape = (torch.from_numpy(x).to(device) for x in (
            true_mesh(takes, body), takes.rotations[:, 0], takes.shape))
        joints, shape, known = (x.to(device) for x in mesh_inputs(takes, posenet, sampler.rng, TRUE_SHARE))
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
                  + "  ".join(evaluate(run.result, posenet, check, body)), flush=True)
            run.save()
    run.save()
    return run.result


@torch.no_grad()
def evaluate(model: MeshNet, posenet: PoseNet | None, takes: Takes, body: Body) -> list[str]:
    """MPVPE / PA-MPVPE in mm from true and from lifted joints; the template's own MPVPE in brackets."""
    model.eval()
    truth = true_mesh(takes, body)
    out = []
    for name, net in (("true", None), ("lifted", posenet)):
        if name == "lifted" and net is None:
            continue
        if net is None:
            joints, shape = torch.from_numpy(takes.joints[:, 0]), torch.from_numpy(takes.shape)
            known = torch.zeros(len(joints), 1)
        else:
            joints, shape, _ = net(torch.from_numpy(frame_features(takes)))
            known = torch.ones(len(joints), 1)
        errors = []
        for i in range(0, len(joints), 50):
            s = slice(i, i + 50)
            v = model(joints[s], shape[s], known[s])
            frame, _, rotations, used = model.encode(joints[s], shape[s], known[s])
            base = model.skin(rotations, used) @ frame.transpose(1, 2)
            t = truth[s]
            errors.append([np.linalg.norm(v.numpy() - t, axis=-1).mean(), procrustes_error(v.numpy(), t).mean(),
                           np.linalg.norm(base.numpy() - t, axis=-1).mean()])
        mpvpe, pa, template = np.mean(errors, 0) * 1000
        out.append(f"{name} {mpvpe:.1f} / {pa:.1f} ({template:.1f})")
    return out
