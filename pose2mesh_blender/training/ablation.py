"""The paper's two ablations on our benchmark: `pose2mesh evaluate --ablation`.

Choi et al. 2020 compare meshes regressed directly, at full resolution, with coarse to fine, and vertices with rotations
as the target, each by fully connected layers and by graph convolutions. Here every design gets the same joints (71
points in the body's frame), the same samples, batch, optimiser and training time, whatever number of steps that is:
processor time, so that nothing else on the machine favours one of them.
"""
from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..core.body import Body
from ..core.network import joints as J
from ..core.network.engine import Network
from ..core.network.torch_meshnet import ChebConv, Graph, MeshNet, MeshNetConfig, body_frame, rotation_from_6d
from .baselines import training_shots
from .evaluation.conditions import BY_NAME, NOISY, HeldOut
from .evaluation.shots import Shots, lift_stills
from .fit_template import fit_template
from .losses import MeshLoss
from .metrics import over_clips, procrustes_error
from .pyramid import build_pyramid, joint_graph, new_meshnet
from .runs import Run
from .sequences import SequenceSampler
from .synthetic import Motion
from .train_meshnet import FITTED

BATCH, RATE = 16, 1e-3
WIDTH = 512
JOINT_CHANNELS = (32, 32)
DIRECT_SEED = 4  # channels that every vertex starts with where there is no coarser level; 32 would be 113 M weights
NODE_CHANNELS = (64, 64, 64, 64)
POOL = 20_000  # training samples, drawn once and shared by all designs
PER_CLIP, SEED = 4, 7  # held-out frames of every clip
PASSES = 20  # of one person, for the speed


class Found(NamedTuple):
    """A design's answer in the body's frame; rotations and shape where they are what it predicts."""

    vertices: Tensor  # (B, 6890, 3)
    rotations: Tensor | None = None  # (B, 24, 3, 3)
    shape: Tensor | None = None  # (B, K)
    base: Tensor | None = None  # (B, 6890, 3) the skinned body, where vertices are more than that


class JointGraph(nn.Module):
    """Graph convolutions over the joints: (B, 71, 3) -> (B, 71, C)."""

    def __init__(self, body: Body, channels: tuple[int, ...]):
        super().__init__()
        rest = J.lift_points(body.v_template[None], body.J_template[None], body)[0]
        graph = Graph(joint_graph(rest))
        self.convs = nn.Sequential(*(ChebConv(graph, a, b) for a, b in zip((3, *channels), channels)))

    def forward(self, local: Tensor) -> Tensor:
        return self.convs(local.transpose(0, 1)).transpose(0, 1)


class Vertices(nn.Module):
    """What designs share that predict vertices: offsets from the body at rest."""

    def __init__(self, body: Body):
        super().__init__()
        rest = body.v_template - body.regress("h36m17", body.v_template)[0]
        self.register_buffer("rest", torch.from_numpy(rest.astype(np.float32)), persistent=False)


class ConnectedVertices(Vertices):
    """Fully connected layers from joints to vertices."""

    def __init__(self, body: Body):
        super().__init__(body)
        self.layers = _connected(6890 * 3)

    def forward(self, local: Tensor) -> Found:
        return Found(self.rest + self.layers(local.flatten(1)).view(-1, 6890, 3))


class GraphVertices(Vertices):
    """Graph convolutions on the mesh: coarse to fine over the pyramid, or all of them at full resolution."""

    def __init__(self, body: Body, coarse_to_fine: bool):
        super().__init__(body)
        levels, channels = build_pyramid(body.faces), MeshNetConfig().channels
        self.joints = JointGraph(body, JOINT_CHANNELS)
        self.mix = nn.Linear(J.COUNT * (3 + JOINT_CHANNELS[-1]), WIDTH)
        if coarse_to_fine:
            graphs = [Graph(level.laplacian) for level in levels]
            first = channels[0]
        else:
            graphs = [Graph(levels[-1].laplacian)] * len(channels)
            first = DIRECT_SEED
        for i, level in enumerate(levels):
            if coarse_to_fine and i:
                self.register_buffer(f"parent{i}", torch.from_numpy(level.parents.astype(np.int64)), persistent=False)
        self.coarse_to_fine, self.first = coarse_to_fine, first
        self.seed = nn.Linear(WIDTH, len(graphs[0].table) * first)
        self.convs = nn.ModuleList(ChebConv(g, a, b) for g, a, b in zip(graphs, (first, *channels), channels))
        self.offset = ChebConv(graphs[-1], channels[-1], 3, normalise=False)

    def forward(self, local: Tensor) -> Found:
        z = self.mix(torch.cat([local, self.joints(local)], -1).flatten(1)).relu()
        x = self.seed(z).view(len(z), -1, self.first).transpose(0, 1).relu()
        for i, conv in enumerate(self.convs):
            if self.coarse_to_fine and i:
                x = x[getattr(self, f"parent{i}")]
            x = conv(x)
        return Found(self.rest + self.offset(x).transpose(0, 1))


class Rotations(nn.Module):
    """What designs share that predict SMPL's parameters: 24 global rotations (6D) and shape, then skinning."""

    def __init__(self, body: Body, skin: Callable[[Tensor, Tensor], Tensor]):
        super().__init__()
        self.skin, self.count = skin, len(body.shapedirs)
        self.register_buffer("identity", torch.tensor([1.0, 0, 0, 0, 1, 0]), persistent=False)

    def found(self, sixes: Tensor, shape: Tensor) -> Found:
        rotations = rotation_from_6d(sixes.view(-1, 24, 6) + self.identity)
        return Found(self.skin(rotations, shape), rotations, shape)


class ConnectedRotations(Rotations):
    """Fully connected layers from joints to rotations and shape."""

    def __init__(self, body: Body, skin: Callable[[Tensor, Tensor], Tensor]):
        super().__init__(body, skin)
        self.layers = _connected(24 * 6 + self.count)

    def forward(self, local: Tensor) -> Found:
        out = self.layers(local.flatten(1))
        return self.found(out[:, :144], out[:, 144:])


class GraphRotations(Rotations):
    """Graph convolutions over the joints; each of SMPL's 24 nodes answers its rotation, their mean the shape."""

    def __init__(self, body: Body, skin: Callable[[Tensor, Tensor], Tensor]):
        super().__init__(body, skin)
        self.joints = JointGraph(body, NODE_CHANNELS)
        self.turn = nn.Linear(3 + NODE_CHANNELS[-1], 6)
        self.shape = nn.Linear(3 + NODE_CHANNELS[-1], self.count)

    def forward(self, local: Tensor) -> Found:
        nodes = torch.cat([local, self.joints(local)], -1)
        return self.found(self.turn(nodes[:, J.SMPL]), self.shape(nodes.mean(1)))


class Ours(nn.Module):
    """MeshNet: rotations first, then vertices coarse to fine on top."""

    def __init__(self, meshnet: MeshNet):
        super().__init__()
        self.meshnet = meshnet

    def forward(self, local: Tensor) -> Found:
        net = self.meshnet
        unknown = local.new_zeros(len(local), 1)
        frame, z, rotations, shape = net.encode(local, local.new_zeros(len(local), net.config.shape), unknown)
        base = net.skin(rotations, shape)
        v = base.detach() + net.refine(base.detach(), z)
        back = frame.transpose(1, 2)  # `local` already is in the body's frame: nearly the identity
        return Found((v - (net.pelvis @ v)[:, None]) @ back, frame[:, None] @ rotations, shape, base @ back)


def _connected(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(J.COUNT * 3, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(),
                         nn.Linear(WIDTH, outputs))


@dataclass(frozen=True)
class Design:
    target: str
    network: str
    resolution: str
    build: Callable[[Body, MeshNet], nn.Module]  # the MeshNet is new, for its skinning


DESIGNS = {
    "vertices, connected": Design("vertices", "fully connected", "–", lambda body, _: ConnectedVertices(body)),
    "rotations, connected": Design("rotations", "fully connected", "–",
                                   lambda body, net: ConnectedRotations(body, net.skin)),
    "rotations, graph": Design("rotations", "graph", "–", lambda body, net: GraphRotations(body, net.skin)),
    "vertices, graph, direct": Design("vertices", "graph", "direct", lambda body, _: GraphVertices(body, False)),
    "vertices, graph, coarse to fine": Design("vertices", "graph", "coarse to fine",
                                              lambda body, _: GraphVertices(body, True)),
    "ours": Design("rotations, then vertices", "graph", "coarse to fine", lambda body, net: Ours(net)),
}


class Pool:
    """Training samples: true joints, what the lifter made of a detector's keypoints, and the body behind both."""

    def __init__(self, body: Body, motion: Motion, network: Network, count: int, seed: int = 0):
        shots = training_shots(SequenceSampler(body, motion, seed), count)
        shots = shots.chosen(np.flatnonzero(shots.enough[:, 0]))
        arrays = shots.joints[:, 0], lift_stills(network, shots)[0][:, 0], shots.rotations[:, 0], shots.shape
        self.joints, self.lifted, self.rotations, self.shape = (torch.from_numpy(np.ascontiguousarray(a, np.float32))
                                                                for a in arrays)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Joints (half true but for up to a centimetre, half lifted), rotations and shape of BATCH samples."""
        rows = torch.from_numpy(rng.integers(0, len(self.shape), BATCH))
        joints, half = self.lifted[rows], BATCH // 2
        noise = rng.normal(size=(half, J.COUNT, 3)) * rng.uniform(0, .01, (half, 1, 1))
        joints[:half] = self.joints[rows[:half]] + torch.from_numpy(noise.astype(np.float32))
        return joints - joints[:, :1], self.rotations[rows], self.shape[rows]


class Step:
    """One training step, up to the loss."""

    def __init__(self, body: Body, pool: Pool, skin: Callable[[Tensor, Tensor], Tensor], seed: int):
        self._pool, self._skin, self._criterion = pool, skin, MeshLoss(body)
        self._rng = np.random.default_rng(seed)

    def __call__(self, model: nn.Module) -> Tensor:
        """Vertices by the paper's four losses, rotations by rotations, shape and the skin they make."""
        joints, rotations, shape = self._pool.batch(self._rng)
        with torch.no_grad():
            frame = body_frame(joints)
            rotations = frame.transpose(1, 2)[:, None] @ rotations
            truth = self._skin(rotations, shape)
        found = model.train()(joints @ frame)
        loss = torch.zeros(())
        if found.rotations is not None:
            skinned = found.vertices if found.base is None else found.base
            loss = (skinned - truth).abs().mean() + .05 * (found.rotations - rotations).abs().mean()
            loss = loss + .002 * (found.shape - shape).square().mean()
        if found.rotations is None or found.base is not None:
            loss = loss + self._criterion(found.vertices, truth)["total"]
        return loss


def train(name: str, body: Body, motion: Motion, pool: Pool, minutes: float, folder: Path, seed: int = 0
          ) -> tuple[nn.Module, int, int]:
    """Trains one design for `minutes` of processor time -> the averaged network, its steps, the bytes a step holds."""
    torch.manual_seed(seed)
    skinning = new_meshnet(body)
    model = DESIGNS[name].build(body, skinning)
    begun = time.process_time()
    if isinstance(model, Ours):
        for key, parameter in model.meshnet.named_parameters():
            parameter.requires_grad_(not key.startswith(FITTED))
        if not (folder / "checkpoint.pt").exists():
            fit_template(model.meshnet, body, motion, seed)  # its closed-form part is training, too
    fitted = time.process_time() - begun
    run = Run(folder, model, minutes, RATE, clock=time.process_time)
    step = Step(body, pool, skinning.skin, seed)
    held = step_bytes(model, step)
    if not run.step:
        run.elapsed += fitted
    while run.progress < 1 or not run.step:
        run.update(step(run.model))
    run.save()
    return run.result.eval(), run.step, held


def step_bytes(model: nn.Module, step: Step) -> int:
    """What a training step holds: weights, gradients, AdamW's two averages, and what the backward pass needs."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step(model)
    return sum(kept.values()) + sum(4 * (4 if p.requires_grad else 1) * p.numel() for p in model.parameters())


@torch.no_grad()
def passes_a_second(model: nn.Module) -> float:
    """One person at a time, the median of PASSES."""
    local, times = torch.zeros(1, J.COUNT, 3), []
    for _ in range(PASSES):
        begun = time.perf_counter()
        model(local)
        times.append(time.perf_counter() - begun)
    return 1 / float(np.median(times))


@torch.no_grad()
def errors(model: nn.Module, body: Body, joints: np.ndarray, shots: Shots, truth: np.ndarray) -> dict[str, float]:
    """Single frames: joints (N, 71, 3) -> mm, means over clips, with half the 95 % interval."""
    found = []
    for i in range(0, len(joints), BATCH):
        points = torch.from_numpy(joints[i:i + BATCH].astype(np.float32))
        frame = body_frame(points - points[:, :1])
        found.append((model((points - points[:, :1]) @ frame).vertices @ frame.transpose(1, 2)).numpy())
    vertices = np.concatenate(found)
    h36m, true = (body.regress("h36m17", v) for v in (vertices, truth))
    vertices, true_vertices = vertices - h36m[:, :1], truth - true[:, :1]
    h36m, true = h36m - h36m[:, :1], true - true[:, :1]
    out = {}
    for name, values in (("MPJPE", np.linalg.norm(h36m - true, axis=-1)), ("PA-MPJPE", procrustes_error(h36m, true)),
                         ("MPVPE", np.linalg.norm(vertices - true_vertices, axis=-1))):
        estimate = over_clips(values.mean(1) * 1000, shots.clip)
        out[name], out[f"{name} ±"] = estimate.mean, estimate.half
    return {key: round(value, 1) for key, value in out.items()}


def measure(body: Body, network: Network, motion: Motion, held_out: Motion, minutes: float, work: Path,
            designs: list[str] | None = None, pool: int = POOL, per_clip: int = PER_CLIP) -> dict:
    """Trains and measures every design; the result is JSON's. network: whose lifter makes the joints.

    Checkpoints go to `work`/NAME; a run that was cut short goes on there.
    """
    samples = Pool(body, motion, network, pool)
    shots = HeldOut(body, held_out).stills(BY_NAME[NOISY], per_clip, SEED)
    shots = shots.chosen(np.flatnonzero(shots.enough[:, 0]))
    truth = np.concatenate([shots.vertices(body, g, np.array([0])) for g in range(len(shots))])
    lifted = lift_stills(network, shots)[0][:, 0]
    rows = {}
    for name in designs or DESIGNS:
        folder = work / name.replace(", ", "-").replace(" ", "-")
        model, steps, held = train(name, body, motion, samples, minutes, folder)
        rows[name] = {"parameters": sum(p.numel() for p in model.parameters()), "memory MB": round(held / 1e6, 1),
                      "steps": steps, "fps": round(passes_a_second(model), 1),
                      "lifted": errors(model, body, lifted, shots, truth),
                      "true": errors(model, body, shots.joints[:, 0], shots, truth)}
        print(f"{name}: {steps} steps, MPVPE {rows[name]['lifted']['MPVPE']:.1f} mm", flush=True)
    return {"minutes": minutes, "batch": BATCH, "threads": torch.get_num_threads(), "people": len(shots),
            "clips": len(np.unique(shots.clip)), "designs": rows}


def markdown(results: dict) -> str:
    """The table of `measure`."""
    head = ("target", "layers", "resolution", "parameters", "memory, MB", "steps", "fps", "MPJPE", "PA-MPJPE", "MPVPE",
            "MPVPE, true joints")
    lines = [f"{results['minutes']:g} processor minutes of training each, batch {results['batch']}, CPU threads: "
             f"{results['threads']}; {results['people']} held-out people of {results['clips']} clips, "
             "detector-like keypoints through the shipped lifter; mm, ± half the 95 % interval over clips. "
             "Memory: what a training step holds.", "",
             "| " + " | ".join(head) + " |", "|---" * 3 + "|--:" * (len(head) - 3) + "|"]
    for name, row in results["designs"].items():
        design, e = DESIGNS[name], row["lifted"]
        cells = [design.target, design.network, design.resolution, f"{row['parameters'] / 1e6:.2f} M",
                 f"{row['memory MB']:.0f}", f"{row['steps']}", f"{row['fps']:.0f}"]
        cells += [f"{e[k]:.1f} ± {e[f'{k} ±']:.1f}" for k in ("MPJPE", "PA-MPJPE", "MPVPE")]
        lines.append("| " + " | ".join([*cells, f"{row['true']['MPVPE']:.1f}"]) + " |")
    return "\n".join(lines) + "\n"
