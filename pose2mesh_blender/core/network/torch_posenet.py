"""PoseNet: 2D keypoints -> 3D joints and body shape. A residual MLP (Martinez et al. 2017; Choi et al. 2020).

No `bpy` module use. Imported only where torch is wanted.
"""
from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from . import joints as J
from .features import WIDTH


@dataclass(frozen=True)
class PoseNetConfig:
    width: int = 768
    blocks: int = 2
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
    """features (N, 71) -> joints (N, 71, 3) metres, root-relative, virtual camera axes; shape (N, 16)."""

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

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(self.blocks(self.inlet(features))).relu()
        joints = self.joints(x).view(-1, J.COUNT, 3)
        return joints - joints[:, :1], self.shape(x)
