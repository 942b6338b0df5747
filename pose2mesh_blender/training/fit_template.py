"""The closed-form part of MeshNet's template: from points to rotations and shape by ridge regression.

First a linear guess, then steps that are linear in what the template's points still miss, seen in each bone's own axes
(learnt descent, cf. Xiong and De la Torre 2013). A minute on one core, no gradients.
"""
from __future__ import annotations

import numpy as np
import torch

from ..core.body import Body
from ..core.network.torch_meshnet import MeshNet, body_frame
from .sequences import SequenceSampler
from .synthetic import Motion

SAMPLES = 24_000
NOISE = (0, .002, .005)  # metres on the points: lifted ones never agree quite with a body
PENALTY = 1e-4


def ridge(inputs: torch.Tensor, targets: torch.Tensor, intercept: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, A), (N, B) -> weights (A, B), bias (B,) (0 without intercept), by penalised least squares."""
    n = len(inputs)
    x, y = inputs.double(), targets.double()
    mx, my = (x.mean(0), y.mean(0)) if intercept else (x.new_zeros(x.shape[1]), y.new_zeros(y.shape[1]))
    x, y = x - mx, y - my
    lhs = x.T @ x + PENALTY * n * torch.diag(x.square().mean(0) + 1e-9)
    weights = torch.linalg.solve(lhs, x.T @ y)
    return weights.float(), (my - mx @ weights).float()


def rotation_vector(r: torch.Tensor) -> torch.Tensor:
    """(..., 3, 3) -> axis times 2 tan(angle / 2), the inverse of `small_rotation`; at most about 110 degrees."""
    v = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    return 2 * v / (1 + r.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)).clamp(min=.35)


@torch.no_grad()
def fit_template(model: MeshNet, body: Body, motion: Motion, seed: int = 0) -> None:
    """Sets the template's linear parts from true poses of the training subjects; its learnt part must be zero."""
    takes = SequenceSampler(body, motion, seed).batch(SAMPLES, 1, clean=1.0)
    rng = np.random.default_rng(seed)
    joints = takes.joints[:, 0] + rng.normal(size=(SAMPLES, 71, 3)) * rng.choice(NOISE, SAMPLES)[:, None, None]
    points = torch.from_numpy(joints.astype(np.float32))
    points = points - points[:, :1]
    frame = body_frame(points)
    local, shape = points @ frame, torch.from_numpy(takes.shape)
    truth = frame.transpose(1, 2)[:, None] @ torch.from_numpy(takes.rotations[:, 0])
    lengths = (local[:, model.pairs[0]] - local[:, model.pairs[1]]).norm(dim=-1)
    for layer, inputs, targets in ((model.shape_base, lengths, shape),
                                   (model.rotation_base, local.flatten(1), truth[..., :2].transpose(2, 3).flatten(1))):
        weights, bias = ridge(inputs, targets, True)
        layer.weight.copy_(weights.T)
        layer.bias.copy_(bias)
    known = torch.from_numpy((rng.random((SAMPLES, 1)) < .5).astype(np.float32))
    _, _, rotations, used = _before_rounds(model, points, shape, known)
    for i in range(model.config.rounds):
        miss, own = model.missed(local, rotations, used)
        wanted = rotation_vector(rotations.transpose(2, 3) @ truth)
        for bone in range(24):
            model.turns[i, bone].copy_(ridge(miss[:, bone], wanted[:, bone], False)[0])
        guessed = known[:, 0] == 0
        model.growth[i].copy_(ridge(own[guessed], (shape - used)[guessed], False)[0])
        rotations, used = model.correct(local, rotations, used, known, i)


def _before_rounds(model: MeshNet, points: torch.Tensor, shape: torch.Tensor, known: torch.Tensor) -> tuple:
    model.turns.zero_()
    model.growth.zero_()
    out = [model.eval().encode(points[i:i + 2000], shape[i:i + 2000], known[i:i + 2000])
           for i in range(0, len(points), 2000)]
    return tuple(torch.cat(parts) for parts in zip(*out))
