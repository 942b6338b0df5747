"""Trains PoseNet and its temporal part together, on samples drawn as it goes."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..core.body import Body
from ..core.network import joints as J
from ..core.network.features import features
from ..core.network.torch_posenet import PoseNet, PoseNetConfig, TemporalConfig, TemporalNet
from . import parallel
from .datasets.pairs import PairSampler
from .metrics import knee_flexion, procrustes_error
from .runs import Run
from .sequences import SequenceSampler, Takes
from .synthetic import Motion

# Ends of limbs matter most to the eye and are hardest.
WEIGHTS = np.ones(J.COUNT, np.float32)
ENDS = ("wrist", "ankle", "hand", "foot", "knee", "elbow")
WEIGHTS[[i for i, n in enumerate(J.NAMES) if any(end in n for end in ENDS)]] = 1.3
# Distances that keep a guess in one piece. Where a picture leaves open whether a limb comes forward or goes back, the
# likeliest coordinates lie between: a limb that is too short, for which a body of whole bones bends its knees.
SPANS = [(J.NAMES.index(f"{kind}{a}"), J.NAMES.index(f"{kind}{b}")) for kind in ("h36m_", "smpl_", "")
         for chain in (*((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")),
                       *((f"{side}_hip", f"{side}_knee", f"{side}_ankle") for side in ("left", "right")),
                       ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
                       ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"))
         for a, b in combinations(chain, 2)]
LENGTH = 0.3  # weight of those distances
CLEAN = 0.2  # share of takes with exact keypoints
STRAIGHT = 20.0  # degrees of flexion below which a knee counts as straight
SPEED = 2.0  # weight of the change from frame to frame: what the eye sees as jitter
STILLS, IN_TAKES = 448, 672  # single frames and frames of takes a step
LENGTHS = (4, 12, 24, 48, 48, 64)  # frames a take
PICTURES = 160  # of the single frames: pictures of datasets, where there are any


class Lifter(nn.Module):
    """Both parts, trained as one."""

    def __init__(self, posenet: PoseNet, temporal: TemporalNet):
        super().__init__()
        self.posenet, self.temporal = posenet, temporal

    def forward(self, inputs: Tensor, takes: int, frames: int, path: Tensor, times: Tensor
                ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """inputs (N, 71): stills, then takes x frames rows of takes -> PoseNet's joints and shape of all rows, the
        takes' joints (takes, frames, 71, 3) and shape with time."""
        joints, shape, hidden = self.posenet(inputs)
        size, last = (takes, frames), slice(len(inputs) - takes * frames, None)
        over_time = self.temporal(hidden[last].view(*size, -1), joints[last].view(*size, J.COUNT, 3),
                                  shape[last].view(*size, -1), path, times)
        return joints, shape, *over_time


class Batch(NamedTuple):
    """Single frames, then frames of takes, as PoseNet wants them."""

    inputs: np.ndarray  # (STILLS + takes * frames, 71)
    joints: np.ndarray  # (..., 71, 3)
    shapes: np.ndarray  # (..., K)
    takes: Takes


def draw(sampler: SequenceSampler, pictures: PairSampler | None) -> Batch:
    """What one step learns from."""
    stills = sampler.batch(STILLS // 2, 2, CLEAN, rate=0.5)
    frames = int(sampler.rng.choice(LENGTHS))
    takes = sampler.batch(IN_TAKES // frames, frames, CLEAN)
    joints = np.concatenate([x.joints.reshape(-1, J.COUNT, 3) for x in (stills, takes)])
    shapes = np.concatenate([np.repeat(stills.shape, 2, 0), np.repeat(takes.shape, frames, 0)])
    inputs = np.concatenate([frame_features(stills), frame_features(takes)])
    if pictures:
        inputs[:PICTURES], joints[:PICTURES], shapes[:PICTURES] = pictures.batch(PICTURES)
    return Batch(inputs, joints, shapes, takes)


def span_lengths(joints: Tensor) -> Tensor:
    """(..., 71, 3) -> (..., S) lengths of SPANS."""
    a, b = zip(*SPANS)
    return ((joints[..., a, :] - joints[..., b, :]).square().sum(-1) + 1e-8).sqrt()


def deepened(posenet: PoseNet, blocks: int) -> PoseNet:
    """The same function with more residual blocks, which begin as nothing."""
    config = PoseNetConfig(posenet.config.width, blocks, posenet.config.shape)
    model = PoseNet(config)
    for i in range(posenet.config.blocks, blocks):
        for parameter in model.get_submodule(f"blocks.{i}.linear2").parameters():
            nn.init.zeros_(parameter)
    model.load_state_dict(posenet.state_dict(), strict=False)
    return model


def train_posenet(body: Body, motion: Motion, test: Motion, folder: Path, minutes: float, seed: int = 0,
                  rate: float = 1e-3, start: tuple[PoseNet, TemporalNet | None] | None = None,
                  pictures: PairSampler | None = None, device: str = "cpu") -> Lifter:
    """Trains (or resumes) for `minutes` in all; returns the averaged networks. Prints one line every 250 steps.

    start: a new run begins with these networks instead of random ones; device: see parallel.start.
    """
    config = PoseNetConfig(shape=len(body.shapedirs))
    posenet = deepened(start[0], max(config.blocks, start[0].config.blocks)) if start else PoseNet(config)
    temporal = start[1] if start and start[1] else TemporalNet(TemporalConfig(posenet.config.width,
                                                                              shape=posenet.config.shape))
    run = Run(folder, Lifter(posenet, temporal).to(device), minutes, rate)
    sampler = SequenceSampler(body, motion, seed + run.step + parallel.APART * parallel.rank())
    held_out = SequenceSampler(body, test, seed=12345)
    centres = held_out.rng.choice(test.distinct, 60)
    checks = {name: held_out.batch(60, 48, share, centres, 30.0, 1.0) for name, share in (("noisy", 0), ("clean", 1))}

    def tensor(x: np.ndarray) -> Tensor:
        return torch.from_numpy(x).to(device)

    weights = tensor(WEIGHTS)[:, None]
    with ThreadPoolExecutor(1) as ahead:  # the next step's people are drawn while this step learns
        upcoming = ahead.submit(draw, sampler, pictures)
        while run.progress < 1:
            batch = upcoming.result()
            upcoming = ahead.submit(draw, sampler, pictures)
            takes, every, truth = batch.takes, tensor(batch.joints), tensor(batch.takes.joints)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                joints, shape, in_time, shape_in_time = run.model.train()(
                    tensor(batch.inputs), *takes.times.shape, tensor(takes.path), tensor(takes.times))
            seen = tensor(np.concatenate([np.ones(STILLS, np.float32), takes.path[..., 2].ravel()]))
            alone = (((joints - every).abs() * weights).mean((1, 2)) * seen).mean()
            together = ((in_time - truth).abs() * weights).mean()
            length = ((span_lengths(joints) - span_lengths(every)).abs().mean(1) * seen).mean() + (
                span_lengths(in_time) - span_lengths(truth)).abs().mean()
            step = tensor(np.diff(takes.times, axis=1) * 30)[..., None, None]
            jitter = ((in_time.diff(dim=1) - truth.diff(dim=1)).abs() * weights / step).mean()
            shapeless = (((shape - tensor(batch.shapes)).square().mean(1)) * seen).mean() + (
                shape_in_time - tensor(takes.shape)[:, None]).square().mean()
            run.update(alone + together + SPEED * jitter + LENGTH * length + 0.003 * shapeless)
            if run.step % 250 == 0 and parallel.rank() == 0:
                print(f"step {run.step}  {run.elapsed / 60:.1f} of {minutes:g} min  mm: one frame "
                      f"{alone.item() * 1000:.1f}  take {together.item() * 1000:.1f}  "
                      f"speed {jitter.item() * 1000:.2f}  length {length.item() * 1000:.1f}  "
                      "MPJPE / PA (in time): " + ", ".join(
                          "{} {:.1f} / {:.1f} ({:.1f} / {:.1f}, acceleration {:.1f} -> {:.1f}, straight knees bent by "
                          "{:.1f} -> {:.1f}°)".format(name, *evaluate(run.result, check))
                          for name, check in checks.items()), flush=True)
                run.save()
    run.save()
    return run.result


def frame_features(takes: Takes) -> np.ndarray:
    """PoseNet's input (G * T, 71) for all frames of the takes."""
    return features(takes.view, np.repeat(takes.definition, takes.times.shape[1]))


@torch.no_grad()
def evaluate(model: Lifter, takes: Takes) -> list[float]:
    """MPJPE and PA-MPJPE over the 17 H36M joints, mm, of single frames and with time; acceleration error of both; by
    how many degrees both bend knees that are straight."""
    size = takes.times.shape
    joints, _, in_time, _ = model.eval()(torch.from_numpy(frame_features(takes)), *size, torch.from_numpy(takes.path),
                                         torch.from_numpy(takes.times))
    truth, seen = takes.joints[:, :, J.H36M], takes.path[..., 2].ravel() > 0
    out, acceleration, bent = [], [], []
    bend = knee_flexion(truth)
    for found in (joints.view(*size, J.COUNT, 3), in_time):
        found = found[:, :, J.H36M].numpy()
        flat, true = found.reshape(-1, 17, 3)[seen], truth.reshape(-1, 17, 3)[seen]
        out += [np.linalg.norm(flat - true, axis=-1).mean() * 1000, procrustes_error(flat, true).mean() * 1000]
        acceleration.append(np.linalg.norm(np.diff(found - truth, 2, axis=1), axis=-1).mean() * 1000)
        bent.append((knee_flexion(found) - bend)[bend < STRAIGHT].mean())
    return [float(x) for x in out + acceleration + bent]
