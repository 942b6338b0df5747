"""PoseNet: 2D keypoints -> 3D joints and body shape. No `bpy` module use. Imported only where torch is wanted.

Single frames: a residual MLP (Martinez et al. 2017; Choi et al. 2020). Takes: a transformer over the frames' hidden
layers corrects them (cf. PoseFormer, Zheng et al. 2021), with real time stamps as rotary positions (Su et al. 2021).
"""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import joints as J
from .features import PATH_WIDTH, WIDTH


@dataclass(frozen=True)
class PoseNetConfig:
    width: int = 768
    blocks: int = 4
    shape: int = 16


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.linear1 = nn.BatchNorm1d(width), nn.Linear(width, width)
        self.norm2, self.linear2 = nn.BatchNorm1d(width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear1(self.norm1(x).relu())
        return x + self.linear2(self.norm2(y).relu())


class PoseNet(nn.Module):
    """features (N, 71) -> joints (N, 71, 3) metres, root-relative, virtual camera axes; shape (N, K); hidden (N, W)."""

    def __init__(self, config: PoseNetConfig = PoseNetConfig()):
        super().__init__()
        self.config = config
        self.inlet = nn.Linear(WIDTH, config.width)
        self.blocks = nn.Sequential(*[Block(config.width) for _ in range(config.blocks)])
        self.norm = nn.BatchNorm1d(config.width)
        self.joints = nn.Linear(config.width, J.COUNT * 3)
        self.shape = nn.Linear(config.width, config.shape)

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> PoseNet:
        """The network as it was saved; sizes are read off the weights."""
        blocks = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
        model = cls(PoseNetConfig(len(state["inlet.bias"]), blocks, len(state["shape.bias"])))
        model.load_state_dict(state)
        return model.eval()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.norm(self.blocks(self.inlet(features))).relu()
        joints = self.joints(hidden).float().view(-1, J.COUNT, 3)
        return joints - joints[:, :1], self.shape(hidden).float(), hidden


@dataclass(frozen=True)
class TemporalConfig:
    inputs: int = 768  # PoseNet's width
    width: int = 256
    layers: int = 4
    heads: int = 8
    shape: int = 16


class Attention(nn.Module):
    """Self-attention over frames; time enters as a rotation of queries and keys, so only differences count."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        b, t, width = x.shape
        q, k, v = self.mix(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, C) each
        q, k = turn(q, cos, sin), turn(k, cos, sin)
        weights = (q @ k.transpose(2, 3) * (width // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, width))


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates the two halves of the channels (B, H, T, C) by the frames' angles (B, 1, T, C / 2)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), cos, sin)
        return x + self.narrow(self.widen(self.norm2(x)).relu())


class TemporalNet(nn.Module):
    """PoseNet's hidden layers of a take -> what its joints and shape lack.

    hidden (B, T, W), joints (B, T, 71, 3) and shape (B, T, K) from PoseNet, path (B, T, 3), times (B, T) seconds ->
    joints (B, T, 71, 3) in the same axes, shape (B, T, K). Frames without keypoints are filled in.
    """

    def __init__(self, config: TemporalConfig = TemporalConfig()):
        super().__init__()
        self.config = config
        self.inlet = nn.Linear(config.inputs + PATH_WIDTH, config.width)
        self.layers = nn.ModuleList(Layer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.joints, self.shape = nn.Linear(config.width, J.COUNT * 3), nn.Linear(config.width, config.shape)
        for head in (self.joints, self.shape):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        pairs = config.width // config.heads // 2
        # A turn per 0.13 s .. 10 s: from neighbouring frames to a whole window.
        self.register_buffer("speeds", 2 * torch.pi / torch.logspace(-0.9, 1, pairs), persistent=False)

    @classmethod
    def from_state(cls, state: dict[str, Tensor], heads: int = 8) -> TemporalNet:
        """The network as it was saved; sizes are read off the weights."""
        layers = len({name.split(".")[1] for name in state if name.startswith("layers.")})
        width, inputs = state["inlet.weight"].shape
        model = cls(TemporalConfig(inputs - PATH_WIDTH, width, layers, heads, len(state["shape.bias"])))
        model.load_state_dict(state)
        return model.eval()

    def forward(self, hidden: Tensor, joints: Tensor, shape: Tensor, path: Tensor, times: Tensor
                ) -> tuple[Tensor, Tensor]:
        angle = (times[:, None, :, None] * self.speeds).float()
        cos, sin = angle.cos(), angle.sin()
        x = self.inlet(torch.cat([hidden.to(path.dtype), path], -1))
        for layer in self.layers:
            x = layer(x, cos, sin)
        x = self.norm(x)
        change = self.joints(x).float().view(*joints.shape)
        return joints + change - change[:, :, :1], shape + self.shape(x).float()
