"""The reference network at its full size (Choi et al. 2020), as the yardstick for speed. Random weights.

Widths, levels and operations follow the paper's code: 4096-wide PoseNet, MeshNet with 2 to 3 Chebyshev convolutions per
level on the padded pyramid, sparse products in COO form. Padded sizes: 96, 192 … 12288.
"""
from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = (96, 192, 384, 768, 1536, 3072, 6144, 12288)
CHANNELS = ((64, 128, 256), (256, 256, 256), (256, 256, 256), (256, 256, 256), (256, 256, 256), (256, 128, 128),
            (128, 128, 128), (128, 128, 128))
DEGREE = 4.4  # non-zeros per row of the padded Laplacians
JOINTS = 17


def _graph(count: int, seed: int) -> Tensor:
    """A symmetric sparse matrix with the size and density of one level's Laplacian."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, count, (2, int(count * (DEGREE - 1) / 2)))
    rows, columns = np.r_[pairs[0], pairs[1], np.arange(count)], np.r_[pairs[1], pairs[0], np.arange(count)]
    return torch.sparse_coo_tensor(np.stack([rows, columns]), rng.normal(size=len(rows)) * .2, (count, count),
                                   dtype=torch.float32, check_invariants=True).coalesce()


class _Conv(nn.Module):
    def __init__(self, graph: Tensor, inputs: int, outputs: int, last: bool = False):
        super().__init__()
        self.graph, self.linear = graph, nn.Linear(inputs * 3, outputs)
        self.norm = None if last else nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        b, v, c = x.shape
        x0 = x.permute(1, 2, 0).reshape(v, c * b)
        x1 = torch.sparse.mm(self.graph, x0)
        x2 = 2 * torch.sparse.mm(self.graph, x1) - x0
        stacked = torch.stack([x0, x1, x2]).view(3, v, c, b).permute(3, 1, 2, 0).reshape(b * v, c * 3)
        y = self.linear(stacked)
        return (y if self.norm is None else self.norm(y).relu()).view(b, v, -1)


class Reference(nn.Module):
    """2D joints (B, 17, 2) -> padded vertices (B, 12288, 3)."""

    def __init__(self) -> None:
        super().__init__()
        width = 4096

        def block() -> nn.Sequential:
            return nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.BatchNorm1d(width),
                                 nn.ReLU(), nn.Linear(width, width))

        self.inlet, self.outlet = nn.Linear(JOINTS * 2, width), nn.Linear(width, JOINTS * 3)
        self.blocks = nn.ModuleList([block(), block()])
        joint_graph = torch.rand(JOINTS, JOINTS).to_sparse()
        self.joint_convs = nn.Sequential(*[_Conv(joint_graph, a, b) for a, b in pairwise((5, 32, 64, 64))])
        self.spread = nn.Linear(JOINTS * 64, LEVELS[0] * 64)
        graphs = [_graph(n, i) for i, n in enumerate(LEVELS)]
        self.levels = nn.ModuleList(nn.Sequential(*[_Conv(g, a, b) for a, b in pairwise(c)])
                                    for g, c in zip(graphs, CHANNELS))
        self.last = nn.Sequential(_Conv(graphs[-1], 128, 64), _Conv(graphs[-1], 64, 3, last=True))

    def forward(self, points: Tensor) -> Tensor:
        x = self.inlet(points.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        joints = self.outlet(x).view(-1, JOINTS, 3)
        x = self.joint_convs(torch.cat([points, joints], -1))
        x = self.spread(x.flatten(1)).view(-1, LEVELS[0], 64)
        for i, level in enumerate(self.levels):
            skip = nn.functional.interpolate(x, size=CHANNELS[i][-1], mode="linear")
            x = level(x) + skip
            if i + 1 < len(self.levels):
                x = x.repeat_interleave(2, 1)
        return self.last(x)


def one_pass() -> Callable[[], np.ndarray]:
    """A function that takes one person's keypoints through the reference network once (batch 1, CPU)."""
    model, points = Reference().eval(), torch.rand(1, JOINTS, 2)

    def run() -> np.ndarray:
        with torch.inference_mode():
            return model(points).numpy()

    return run
