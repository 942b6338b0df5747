"""What the network has to beat, given the same joints or the same pictures.

Ridge: joints -> vertices, linear, in the body's frame. PoseMLP: joints -> 24 rotations and shape, skinned (the paper's
"SMPL parameter" row). BlazePose: the bundled detector's own depth.
"""
from __future__ import annotations

import hashlib
import importlib.util
import time
from pathlib import Path

import numpy as np

from ..core.body import Body
from ..core.detection.blazepose import COCO, PRESENT, SIZE, region
from ..core.detection.sessions import OnnxNetwork
from ..core.errors import Pose2MeshError
from ..core.imaging import crop_square, to_image
from ..core.network import joints as J
from ..core.network.engine import Network
from ..core.placement import unit
from .evaluation.shots import INTRINSICS, Shots, from_takes, lift_stills
from .sequences import SequenceSampler
from .synthetic import Motion

SAMPLES, PENALTY = 3000, 1e-3
WIDTH, BATCH, RATE = 512, 256, 1e-3
# BlazePose's depth comes four times as large as its x and y. So scaled it agrees with the network's other output, the
# metric landmarks, which the bundled file lacks, and does best on the four real views.
BLAZEPOSE_DEPTH = 0.25


def training_shots(sampler: SequenceSampler, count: int, clean: float = 0.0) -> Shots:
    """`count` single frames as training sees them: augmented poses, detector's errors."""
    return from_takes(sampler.batch(count, 1, clean), np.zeros(count, int))


def body_frames(joints: np.ndarray) -> np.ndarray:
    """(N, 71, 3) -> (N, 3, 3): columns left, up, front of the pelvis in the joints' axes."""
    smpl = joints[:, J.SMPL]
    up = unit(smpl[:, 6] + smpl[:, 9] - 2 * smpl[:, 0])
    left = smpl[:, 1] - smpl[:, 2]
    left = unit(left - (left * up).sum(-1, keepdims=True) * up)
    return np.stack([left, up, np.cross(left, up)], -1)


class Ridge:
    """A linear map from the 71 points to the 6890 vertices, both turned into the body's frame."""

    def __init__(self, weights: np.ndarray):
        self.weights = weights  # (214, 20670)

    @classmethod
    def fit(cls, joints: np.ndarray, vertices: np.ndarray) -> Ridge:
        """joints (N, 71, 3), vertices (N, 6890, 3), the same axes."""
        frames = body_frames(joints)
        inputs, targets = cls._inputs(joints @ frames), (vertices @ frames).reshape(len(joints), -1)
        lhs = inputs.T @ inputs + PENALTY * len(joints) * np.diag(inputs.var(0) + 1e-6)
        return cls(np.linalg.solve(lhs, inputs.T @ targets).astype(np.float32))

    @staticmethod
    def _inputs(local: np.ndarray) -> np.ndarray:
        return np.concatenate([local.reshape(len(local), -1), np.ones((len(local), 1), local.dtype)], 1)

    def __call__(self, joints: np.ndarray) -> np.ndarray:
        """joints (N, 71, 3) -> vertices (N, 6890, 3), same axes."""
        frames = body_frames(joints)
        local = self._inputs(joints @ frames) @ self.weights
        return local.reshape(len(joints), 6890, 3) @ frames.transpose(0, 2, 1)


def fit_ridges(body: Body, motion: Motion, network: Network, seed: int = 0) -> dict[str, Ridge]:
    """One for true joints, one for the joints that the network's lifter makes of noisy keypoints."""
    shots = training_shots(SequenceSampler(body, motion, seed), SAMPLES)
    shots = shots.chosen(shots.enough[:, 0])
    vertices = np.concatenate([shots.vertices(body, g, np.array([0])) for g in range(len(shots))])
    return {"true": Ridge.fit(shots.joints[:, 0], vertices),
            "lifted": Ridge.fit(lift_stills(network, shots)[0][:, 0], vertices)}


class PoseMLP:
    """71 points in the body's frame -> 24 global rotations (6D) and shape -> skinning. Needs torch."""

    def __init__(self, body: Body):
        from torch import nn

        from .pyramid import new_meshnet

        layers: list[nn.Module] = [nn.Linear(J.COUNT * 3, WIDTH), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.Linear(WIDTH, 24 * 6 + len(body.shapedirs)))
        self.skinning = new_meshnet(body)  # only its skinning is used, which has no weights

    def parts(self, joints):
        """torch (N, 71, 3) -> global rotations (N, 24, 3, 3) in the joints' axes and shape (N, K)."""
        import torch

        from ..core.network.torch_meshnet import body_frame, rotation_from_6d

        frame = body_frame(joints)
        out = self.model((joints @ frame).flatten(1))
        eye = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
        return frame[:, None] @ rotation_from_6d((out[:, :144] + eye).view(-1, 24, 6)), out[:, 144:]

    def __call__(self, joints: np.ndarray) -> np.ndarray:
        """joints (N, 71, 3) -> vertices (N, 6890, 3), same axes."""
        import torch

        with torch.no_grad():
            return self.skinning.skin(*self.parts(torch.from_numpy(joints))).numpy()

    @classmethod
    def fit(cls, body: Body, motion: Motion, network: Network, minutes: float, seed: int = 0) -> PoseMLP:
        """Trains for `minutes` of processor time, half on true joints that are up to a centimetre off, half on lifted
        ones. Bones' ends tell rotations and shape as well as all vertices do, at a thirtieth of the cost."""
        import torch

        torch.manual_seed(seed)
        sampler, self = SequenceSampler(body, motion, seed), cls(body)
        optimiser = torch.optim.AdamW(self.model.parameters(), RATE)
        begun = time.process_time()
        while (progress := (time.process_time() - begun) / (60 * minutes)) < 1:
            shots = training_shots(sampler, BATCH)
            shots = shots.chosen(shots.enough[:, 0])
            joints, half = lift_stills(network, shots)[0][:, 0], len(shots) // 2
            noise = sampler.rng.normal(size=joints[:half].shape) * sampler.rng.uniform(0, .01, (half, 1, 1))
            joints[:half] = shots.joints[:half, 0] + noise
            rotations, shape = self.parts(torch.from_numpy(joints))
            true = torch.from_numpy(shots.rotations[:, 0]), torch.from_numpy(shots.shape)
            loss = (self.skinning.points(rotations, shape) - torch.from_numpy(shots.joints[:, 0])).abs().mean()
            loss = loss + .05 * (rotations - true[0]).abs().mean() + .002 * (shape - true[1]).square().mean()
            for group in optimiser.param_groups:
                group["lr"] = RATE * .5 * (1 + np.cos(np.pi * progress))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        return self


def load_baselines(body: Body, network: Network, folder: Path, minutes: float, motion) -> dict[str, dict]:
    """{"ridge": {"true", "lifted"}, "MLP": {…}}: callables joints -> vertices, read from `folder` or fitted and kept.

    motion: function without arguments that gives the training motion; called only when something has to be fitted.
    Each lifter has its own: half of what they learn from is what it answers. Raises Pose2MeshError without torch.
    """
    if importlib.util.find_spec("torch") is None:
        raise Pose2MeshError("The baselines need torch, which is not installed.",
                             "In a checkout: pip install '.[train]'.")
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    mark = _fingerprint(network)
    ridge_file, mlp_file = folder / f"ridge-{mark}.npz", folder / f"mlp-{mark}.pt"
    train = None if ridge_file.exists() and mlp_file.exists() else motion()
    if not ridge_file.exists():
        np.savez(ridge_file, **{name: r.weights.astype(np.float16) for name, r in
                                fit_ridges(body, train, network).items()})
    with np.load(ridge_file, allow_pickle=False) as z:
        ridges = {name: Ridge(z[name].astype(np.float32)) for name in z.files}
    if mlp_file.exists():
        mlp = PoseMLP(body)
        mlp.model.load_state_dict(torch.load(mlp_file, weights_only=True))
    else:
        mlp = PoseMLP.fit(body, train, network, minutes)
        torch.save(mlp.model.state_dict(), mlp_file)
    return {"ridge": ridges, "MLP": {"true": mlp, "lifted": mlp}}


def _fingerprint(network: Network) -> str:
    """Eight letters that tell lifters apart by what they answer."""
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(0, 1000, (4, 23, 2)), np.ones((4, 23, 1))], -1)
    return hashlib.sha256(np.round(network.lift(keypoints, INTRINSICS).joints, 3).tobytes()).hexdigest()[:8]


class BlazePoseDepth:
    """The bundled BlazePose's landmarks with its own depth: weak perspective, hips at depth 0."""

    def __init__(self) -> None:
        from ..core.assets import asset_path

        self._network = OnnxNetwork(asset_path("detectors/blazepose_full.onnx"), "cpu")

    def __call__(self, image: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """image (H, W, 3) RGB, keypoints (17, 3) of the person -> COCO's 17, (17, 3), x, y and depth in pixels; NaN
        where nobody is seen."""
        square = region(keypoints)
        if square is None:
            return np.full((17, 3), np.nan)
        crop, affine = crop_square(image, *square, SIZE)
        raw, presence, _ = self._network.run((crop * np.float32(1 / 255))[None])
        if float(presence.ravel()[0]) < PRESENT:
            return np.full((17, 3), np.nan)
        raw = raw.reshape(39, 5)[COCO].astype(np.float64)
        return np.column_stack([to_image(raw[:, :2], affine), raw[:, 2] * BLAZEPOSE_DEPTH * square[1] / SIZE])
