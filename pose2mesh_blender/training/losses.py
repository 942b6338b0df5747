"""The four losses of Pose2Mesh (Choi et al. 2020): vertex, joint, surface normal, edge length. Metres."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..core.body import Body
from .pyramid import adjacency


class MeshLoss(nn.Module):
    """Weighted sum of the four. Edges are counted once; every square root has an epsilon, so that a collapsed edge
    gives no NaN gradient."""

    def __init__(self, body: Body, joint: float = 1.0, normal: float = 0.1, edge: float = 5.0):
        super().__init__()
        self.joint, self.normal, self.edge = joint, normal, edge
        edges = adjacency(body.faces, 6890).tocoo()
        once = edges.row < edges.col
        self.register_buffer("edges", torch.from_numpy(np.stack([edges.row[once], edges.col[once]]).astype(np.int64)))
        self.register_buffer("faces", torch.from_numpy(body.faces.astype(np.int64)))
        rows = np.zeros((40, 6890), np.float32)
        row = 0
        for name in ("h36m17", "coco17", "feet6"):
            r = body.regressors[name]
            for a, b in zip(r.indptr[:-1], r.indptr[1:]):
                rows[row, r.indices[a:b]] = r.data[a:b]
                row += 1
        self.register_buffer("regress", torch.from_numpy(rows))

    def forward(self, predicted: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """(B, 6890, 3) twice -> unweighted parts, and `total`."""
        a, b = self.edges
        p, t = predicted[:, a] - predicted[:, b], truth[:, a] - truth[:, b]
        corners, true = predicted[:, self.faces], truth[:, self.faces]
        normal = torch.cross(true[:, :, 1] - true[:, :, 0], true[:, :, 2] - true[:, :, 0], dim=-1)
        normal = normal / (normal.norm(dim=-1, keepdim=True) + 1e-8)
        sides = corners - corners[:, :, [1, 2, 0]]
        sides = sides / ((sides * sides).sum(-1, keepdim=True) + 1e-10).sqrt()
        parts = {"vertex": (predicted - truth).abs().mean(),
                 "joint": (self.regress @ predicted - self.regress @ truth).abs().mean(),
                 "normal": (sides * normal[:, :, None]).sum(-1).abs().mean(),
                 "edge": (((p * p).sum(-1) + 1e-10).sqrt() - ((t * t).sum(-1) + 1e-10).sqrt()).abs().mean()}
        parts["total"] = (parts["vertex"] + self.joint * parts["joint"] + self.normal * parts["normal"]
                          + self.edge * parts["edge"])
        return parts
