"""MeshNet: 3D joints -> mesh. A skinned template, refined coarse to fine by Chebyshev graph convolutions.

Follows Choi et al. 2020 (graph convolutions on a SMPL pyramid) with two changes that our measurements asked for: it
works in the body's own frame, and the graph network predicts what a posed template gets wrong instead of the whole
surface (cf. GTRS, Zheng et al. 2022), so fingers and folds stay clean however rough the joints are.

No `bpy` module use. Imported only where torch is wanted.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..body import Body
from ..skeletons import SMPL24_PARENTS
from . import joints as J


class Level(NamedTuple):
    """One graph of the mesh pyramid."""

    laplacian: SparseRows
    parents: np.ndarray | None  # (V,) cluster of each vertex on the next coarser level; None on the coarsest


class SparseRows(NamedTuple):
    """A sparse symmetric matrix: row i holds data[indptr[i]:indptr[i+1]] at columns indices[...]."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


@dataclass(frozen=True)
class MeshNetConfig:
    joint_channels: tuple[int, ...] = (32, 32)
    width: int = 512
    rounds: int = 2  # corrections of the template by what its points miss
    channels: tuple[int, ...] = (32, 48, 48, 48, 40, 24, 16, 12)  # coarsest level first
    shape: int = 16


class _SymmetricProduct(torch.autograd.Function):
    """Fixed symmetric sparse matrix times dense: the backward pass is the same product."""

    @staticmethod
    def forward(ctx, x: Tensor, graph: Graph) -> Tensor:
        ctx.graph = graph
        return graph.product(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return ctx.graph.product(grad.contiguous()), None


class Graph(nn.Module):
    """A rescaled Laplacian as a fixed operator on (V, D) tensors."""

    def __init__(self, laplacian: SparseRows):
        super().__init__()
        self.register_buffer("indices", torch.from_numpy(laplacian.indices.astype(np.int64)))
        self.register_buffer("offsets", torch.from_numpy(laplacian.indptr[:-1].astype(np.int64)))
        self.register_buffer("weights", torch.from_numpy(laplacian.data.astype(np.float32)))
        # The same as a table of neighbours (V, degree), weight 0 beyond a vertex's own: gathers, which ONNX has.
        degree = np.diff(laplacian.indptr)
        place = laplacian.indptr[:-1, None] + np.arange(degree.max())
        inside = np.arange(degree.max()) < degree[:, None]
        place = np.minimum(place, len(laplacian.indices) - 1)
        near, weights = laplacian.indices[place] * inside, laplacian.data[place] * inside
        self.register_buffer("table", torch.from_numpy(near.astype(np.int32)), persistent=False)
        self.register_buffer("table_weights", torch.from_numpy(weights.astype(np.float32)), persistent=False)

    def product(self, x: Tensor) -> Tensor:
        return F.embedding_bag(self.indices, x, self.offsets, mode="sum", per_sample_weights=self.weights)

    def forward(self, x: Tensor) -> Tensor:
        if torch.onnx.is_in_onnx_export() or x.device.type == "mps":  # MPS has no weighted embedding_bag
            near = x.index_select(0, self.table.flatten()).view(*self.table.shape, -1)
            return (self.table_weights[:, None] @ near)[:, 0]
        return _SymmetricProduct.apply(x, self)


class ChebConv(nn.Module):
    """Chebyshev graph convolution, K = 3 (Defferrard et al. 2016), on (V, B, C)."""

    def __init__(self, graph: Graph, inputs: int, outputs: int, normalise: bool = True):
        super().__init__()
        self.graph = graph
        bound = (2 / (3 * inputs + outputs)) ** 0.5
        self.weight = nn.Parameter(torch.empty(3, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.norm = nn.BatchNorm1d(outputs) if normalise else None

    def forward(self, x: Tensor) -> Tensor:
        v, b, c = x.shape
        outputs = self.weight.shape[2]
        w0, w1, w2 = self.weight[0] - self.weight[2], self.weight[1], 2 * self.weight[2]  # of x, L x, L L x
        if outputs < c:  # mix channels first, so that the sparse products run on fewer of them
            flat = x.reshape(v * b, c)
            z0, z1, z2 = flat @ w0, (flat @ w1).view(v, b * outputs), (flat @ w2).view(v, b * outputs)
            y = z0 + self.graph(z1 + self.graph(z2)).view(v * b, outputs)
        else:
            x1 = self.graph(x.reshape(v, b * c))
            x2 = self.graph(x1)
            y = x.reshape(v * b, c) @ w0 + x1.view(v * b, c) @ w1 + x2.view(v * b, c) @ w2
        y = y + self.bias
        if self.norm is not None:
            y = self.norm(y).relu()
        return y.view(v, b, -1)


def rotation_from_6d(x: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3), first two columns orthonormalised (Zhou et al. 2019)."""
    a, b = x[..., :3], x[..., 3:]
    a = a / (a.norm(dim=-1, keepdim=True) + 1e-6)
    b = b - (a * b).sum(-1, keepdim=True) * a
    b = b / (b.norm(dim=-1, keepdim=True) + 1e-6)
    return torch.stack([a, b, torch.cross(a, b, dim=-1)], -1)


def body_frame(joints: Tensor) -> Tensor:
    """(B, 71, 3) -> (B, 3, 3): columns left, up, front of the pelvis in the joints' axes."""
    smpl = joints[:, J.SMPL]
    up, left = smpl[:, 6] + smpl[:, 9] - 2 * smpl[:, 0], smpl[:, 1] - smpl[:, 2]
    return rotation_from_6d(torch.cat([up, left], -1))[..., [1, 0, 2]] * joints.new_tensor([1.0, 1.0, -1.0])


def small_rotation(v: Tensor) -> Tensor:
    """(..., 3) axis times 2 tan(angle / 2) -> (..., 3, 3)."""
    w = torch.rsqrt(1 + .25 * (v * v).sum(-1))
    x, y, z = (.5 * v * w[..., None]).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def near_pairs(share: np.ndarray) -> np.ndarray:
    """Points whose distance hardly depends on the pose: on one bone or on a bone and its parent. (71, 24) -> (2, P)."""
    bone = share.argmax(1)
    parent = np.array(SMPL24_PARENTS)[bone]
    near = (bone[:, None] == bone) | (bone[:, None] == parent) | (parent[:, None] == bone)
    return np.stack(np.nonzero(np.tril(near, -1)))


class MeshNet(nn.Module):
    """joints (B, 71, 3) metres, root-relative, any camera axes, and a body shape -> vertices in the same axes."""

    def __init__(self, body: Body, levels: Sequence[Level], joint_laplacian: SparseRows,
                 config: MeshNetConfig = MeshNetConfig()):
        """levels: coarsest first, the last one the mesh itself; joint_laplacian: (71, 71)."""
        super().__init__()
        self.config = config
        self.joint_graph = Graph(joint_laplacian)
        sizes = (3, *config.joint_channels)
        self.joint_convs = nn.ModuleList(ChebConv(self.joint_graph, a, b) for a, b in pairwise(sizes))
        self.mix = nn.Linear(J.COUNT * (3 + sizes[-1]), config.width)
        self.mix2 = nn.Linear(config.width, config.width)
        # The template's linear parts are fitted in closed form (training/fit_template.py); what is learnt beside them
        # begins as nothing.
        near = near_pairs(J.point_coefficients(body)[2])
        self.register_buffer("pairs", torch.from_numpy(near))
        self.shape_base = nn.Linear(near.shape[1], config.shape)
        self.rotation_base = nn.Linear(J.COUNT * 3, 24 * 6)
        self.turns = nn.Parameter(torch.zeros(config.rounds, 24, J.COUNT * 3, 3))
        self.growth = nn.Parameter(torch.zeros(config.rounds, J.COUNT * 3, config.shape))
        self.shape = nn.Linear(config.width, config.shape)
        self.rotations = nn.Sequential(nn.Linear(config.width + config.shape + J.COUNT * 3, config.width), nn.ReLU(),
                                       nn.Linear(config.width, 24 * 3))
        for head in (self.shape, self.rotations[2]):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.seed = nn.Linear(config.width + config.shape, (len(levels[0].laplacian.indptr) - 1) * config.channels[0])
        self.convs = nn.ModuleList()
        previous = config.channels[0]
        for level, channels in zip(levels, config.channels):
            self.convs.append(ChebConv(Graph(level.laplacian), previous + 6, channels))
            previous = channels
        self.offset = ChebConv(self.convs[-1].graph, previous, 3, normalise=False)
        nn.init.zeros_(self.offset.weight)
        self._body_buffers(body)
        to_fine = torch.arange(6890)
        parents = [level.parents for level in levels]  # coarse first; parents[i] maps level i to level i - 1
        for i in range(len(levels) - 1, 0, -1):
            self.register_buffer(f"parent{i}", torch.from_numpy(parents[i]))
            to_fine = torch.from_numpy(parents[i])[to_fine]
            # One fine vertex stands for each coarse one: the network only needs to know where it is.
            first = np.unique(to_fine.numpy(), return_index=True)[1]
            self.register_buffer(f"sample{i - 1}", torch.from_numpy(first))
        self.register_buffer(f"sample{len(levels) - 1}", torch.arange(6890))

    def _body_buffers(self, body: Body) -> None:
        """What is the body's, not learnt: its skinning, and the rows that read the network's points off its surface."""
        anc = np.zeros((24, 24), np.float32)
        for j in range(24):
            p = j
            while p >= 0:
                anc[j, p] = 1
                p = SMPL24_PARENTS[p]
        rel = np.eye(24, dtype=np.float32)
        for j in range(1, 24):
            rel[j, SMPL24_PARENTS[j]] = -1
        root = body.regressors["h36m17"]
        pelvis = np.zeros(6890, np.float32)
        pelvis[root.indices[:root.indptr[1]]] = root.data[:root.indptr[1]]
        base, dirs, share = J.point_coefficients(body)
        k = len(body.shapedirs)
        for name, value in {"ancestors": anc, "relative": rel, "template": body.v_template, "weights": body.weights,
                            "shapedirs": body.shapedirs.reshape(k, -1), "joint_template": body.J_template,
                            "joint_shapedirs": body.J_shapedirs.reshape(k, -1), "pelvis": pelvis,
                            "point_base": base, "point_dirs": dirs.reshape(k, -1), "point_share": share,
                            "point_bone": np.eye(24)[share.argmax(1)]}.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value, np.float32)), persistent=False)
        self.register_buffer("parents", torch.tensor([0, *SMPL24_PARENTS[1:]]), persistent=False)

    def _transforms(self, rotations: Tensor, shape: Tensor) -> Tensor:
        """global rotations (B, 24, 3, 3), shape (B, K) -> bone transforms (B, 24, 3, 4), root joint at 0."""
        b = shape.shape[0]  # not len(): the exporter would bake it in
        joints = self.joint_template + (shape @ self.joint_shapedirs).view(b, 24, 3)
        steps = (rotations[:, self.parents] @ (self.relative @ joints)[..., None])[..., 0]
        posed = self.ancestors[:, 1:] @ steps[:, 1:]
        return torch.cat([rotations, (posed - (rotations @ joints[..., None])[..., 0])[..., None]], -1)

    def skin(self, rotations: Tensor, shape: Tensor) -> Tensor:
        """Linear blend skinning: global rotations (B, 24, 3, 3), shape (B, K) -> vertices (B, 6890, 3), H36M pelvis
        at 0."""
        b = shape.shape[0]
        blend = (self.weights @ self._transforms(rotations, shape).view(b, 24, 12)).view(b, 6890, 3, 4)
        rest = self.template + (shape @ self.shapedirs).view(b, 6890, 3)
        v = (blend[..., :3] * rest[:, :, None]).sum(-1) + blend[..., 3]
        return v - (self.pelvis @ v)[:, None]

    def points(self, rotations: Tensor, shape: Tensor) -> Tensor:
        """The same body's 71 points (B, 71, 3), without its surface."""
        b = shape.shape[0]
        base = self.point_base + (shape @ self.point_dirs).view(b, J.COUNT, 24, 3)
        parts = torch.cat([base, self.point_share[..., None].expand(b, -1, -1, -1)], -1).view(b, J.COUNT, 96)
        points = parts @ self._transforms(rotations, shape).transpose(2, 3).reshape(b, 96, 3)
        return points - points[:, :1]

    def encode(self, joints: Tensor, shape: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """-> body frame (B, 3, 3), latent with shape (B, width + K), rotations in the body frame, shape used."""
        frame = body_frame(joints)
        local = joints @ frame
        x = local.transpose(0, 1)
        for conv in self.joint_convs:
            x = conv(x)
        z = torch.cat([local, x.transpose(0, 1)], -1).flatten(1)
        z = self.mix2(self.mix(z).relu()).relu()
        lengths = ((local[:, self.pairs[0]] - local[:, self.pairs[1]]).square().sum(-1) + 1e-8).sqrt()
        used = known * shape + (1 - known) * (self.shape_base(lengths) + self.shape(z))
        rotations = rotation_from_6d(self.rotation_base(local.flatten(1)).view(-1, 24, 6))
        for i in range(self.config.rounds):
            rotations, used = self.correct(local, rotations, used, known, i)
        # Lifted points never agree quite with one body: what they still miss tells how far to believe them.
        _, missed = self.missed(local, rotations, used)
        turn = self.rotations(torch.cat([z, used, 10 * missed], 1)).view(-1, 24, 3)
        rotations = rotations @ small_rotation(turn)
        return frame, torch.cat([z, used], 1), rotations, used

    def missed(self, local: Tensor, rotations: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """What the template's points miss: in every bone's axes (B, 24, 213), and each point in its own bone's
        (B, 213)."""
        miss = (local - self.points(rotations, shape))[:, None] @ rotations  # rows times R = R^T miss
        own = (miss * self.point_bone.T[..., None]).sum(1)
        return miss.flatten(2), own.flatten(1)

    def correct(self, local: Tensor, rotations: Tensor, shape: Tensor, known: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """One learnt Gauss-Newton step towards the points; a known shape stays."""
        miss, own = self.missed(local, rotations, shape)
        turn = (miss[:, :, None] @ self.turns[i])[:, :, 0]
        return rotations @ small_rotation(turn), shape + (1 - known) * (own @ self.growth[i])

    def refine(self, base: Tensor, z: Tensor) -> Tensor:
        """base (B, 6890, 3) in the body frame -> offsets (B, 6890, 3)."""
        b, c = base.shape[0], self.config.channels[0]
        positions = base.transpose(0, 1)
        x = self.seed(z).view(b, -1, c).transpose(0, 1).relu()
        for i, conv in enumerate(self.convs):
            if i:
                x = x[getattr(self, f"parent{i}")]
            place = getattr(self, f"sample{i}")
            rest = self.template[place][:, None].expand(-1, b, -1)
            x = conv(torch.cat([x, positions[place], rest], -1))
        return self.offset(x).transpose(0, 1)

    def pose(self, joints: Tensor, shape: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """First half. known: (B, 1), 1 = use `shape` (B, K), 0 = estimate it from the joints.

        Returns the body frame (B, 3, 3), the latent whose last K are the shape in use, rotations in that frame
        (B, 24, 3, 3), and the template's points (B, 71, 3) in the joints' axes.
        """
        frame, z, rotations, used = self.encode(joints, shape, known)
        return frame, z, rotations, self.points(rotations, used) @ frame.transpose(1, 2)

    def surface(self, frame: Tensor, z: Tensor, rotations: Tensor) -> Tensor:
        """Second half: what `pose` answered -> vertices (B, 6890, 3) in the joints' axes, H36M pelvis at 0."""
        base = self.skin(rotations, z[:, -self.config.shape:])
        v = base + self.refine(base, z)
        return (v - (self.pelvis @ v)[:, None]) @ frame.transpose(1, 2)

    def forward(self, joints: Tensor, shape: Tensor, known: Tensor) -> Tensor:
        """Both halves: vertices (B, 6890, 3)."""
        return self.surface(*self.pose(joints, shape, known)[:3])

    @classmethod
    def from_state(cls, state: dict[str, Tensor], body: Body, config: MeshNetConfig = MeshNetConfig()) -> MeshNet:
        """The network as it was saved, pyramid included: nothing is rebuilt."""

        def rows(name: str) -> SparseRows:
            indices = state[f"{name}.indices"].numpy()
            return SparseRows(np.append(state[f"{name}.offsets"].numpy(), len(indices)), indices,
                              state[f"{name}.weights"].numpy())

        levels = [Level(rows(f"convs.{i}.graph"), state[f"parent{i}"].numpy() if i else None)
                  for i in range(len(config.channels))]
        model = cls(body, levels, rows("joint_graph"), config)
        shared = {k: v for k, v in model.state_dict().items() if ".graph." in k}  # saved once, used by several
        model.load_state_dict({**shared, **state})
        return model.eval()
