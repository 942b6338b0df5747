"""Dresses the training body at random: skin, hair, face and clothes as a texture and as thickness of the surface."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.body import Body
from .build_texture import fill, mix, noise, paint_face, rasterise, vertex_normals

SIZE = 320
SKINS = np.array([(.95, .80, .71), (.87, .67, .54), (.76, .55, .41), (.58, .39, .27), (.36, .23, .16), (.23, .15, .11)])
HAIRS = np.array([(.05, .04, .04), (.14, .09, .06), (.30, .18, .10), (.62, .46, .26), (.50, .22, .10), (.6, .6, .6)])
SHOE_TOP, NECK = -.735, .585  # heights on the template, metres


@dataclass
class Look:
    """One dressed person."""

    texture: np.ndarray  # (SIZE, SIZE, 3) uint8 RGB in the body's UV layout, first row at v = 1
    thickness: np.ndarray  # (6890,) metres that hair, cloth and shoes stand off the skin


class Wardrobe:
    """Knows the place on the T-posed body that each texel covers; draws looks."""

    def __init__(self, body: Body) -> None:
        face, weight = rasterise(body, SIZE)
        self._covered = face >= 0
        corners, weight = body.faces[face[self._covered]], weight[self._covered][..., None]
        self._texels = (body.v_template[corners] * weight).sum(1)
        self._normals = (vertex_normals(body)[corners] * weight).sum(1)
        self._vertices = body.v_template
        self._grain = np.stack([noise(self._texels, frequency, seed)
                                for frequency, seed in ((25, 1), (70, 9), (14, 3), (200, 4))])

    def look(self, rng: np.random.Generator) -> Look:
        """Everything is drawn at random: a tenth are bald, barefoot or in one colour from neck to ankle."""
        style = _Style(rng)
        image = np.zeros((SIZE, SIZE, 3), np.float32)
        image[self._covered] = style.paint(self._texels, self._normals, self._grain)
        image = fill(image, self._covered)
        return Look((np.clip(image, 0, 1) * 255 + .5).astype(np.uint8), style.thickness(self._vertices))


def colour(rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """(3,) RGB 0..1: a third near grey, the rest of any hue, dark to light."""
    tint = rng.normal(size=3)
    tint *= strength * rng.choice([.03, .15, .35]) / np.linalg.norm(tint)
    return np.clip(rng.uniform(.04, .95) + tint, .02, .98).astype(np.float32)


class _Style:
    """The choices for one person."""

    def __init__(self, rng: np.random.Generator) -> None:
        tone = rng.uniform(0, len(SKINS) - 1)
        self.skin = np.stack([np.interp(tone, range(len(SKINS)), channel) for channel in SKINS.T])
        self.hair = HAIRS[rng.integers(len(HAIRS))] * rng.uniform(.7, 1.2)
        self.haircut = rng.choice(["bald", "short", "long", "cap"], p=[.1, .5, .3, .1])
        self.beard = rng.random() < .2
        self.hem = rng.uniform(-.08, .16)
        self.sleeve = rng.choice([.16, .31, .45, .655], p=[.12, .4, .12, .36]) + rng.normal(0, .02)
        self.leg = rng.choice([-.05, -.3, -.5, SHOE_TOP], p=[.08, .17, .1, .65]) + rng.normal(0, .02)
        self.collar = rng.uniform(.06, .11)
        self.barefoot = rng.random() < .1
        self.cloth = [_Cloth(rng), _Cloth(rng), _Cloth(rng)]  # above, below, shoes
        if rng.random() < .12:
            self.cloth[1] = self.cloth[0]
        self.loose = rng.uniform(0, 1, 2) ** 2 * [.035, .03]  # metres
        self.volume = {"bald": 0, "short": rng.uniform(.004, .02), "long": rng.uniform(.01, .035), "cap": .012}
        self.cap = colour(rng)
        self.waves = rng.integers(1 << 30)

    def paint(self, p: np.ndarray, n: np.ndarray, grain: np.ndarray) -> np.ndarray:
        """Colours (N, 3) for places p (N, 3) with normals n on the T-posed body; grain (4, N): unevenness of skin,
        hair, folds and weave."""
        q = np.abs(p * [1, 0, 0]) + p * [0, 1, 1]
        front = ((p[:, 2] > .055) & (p[:, 1] > .6)).astype(np.float32)
        c = np.tile(self.skin, (len(p), 1)) * (1 + .05 * grain[0])[:, None]
        c = paint_face(c, p, q, front)
        hair, above, below, shoes = self._regions(p)
        if self.beard:
            c = mix(c, self.hair, .8 * ((p[:, 1] < .66) & (p[:, 1] > .61) & (p[:, 2] > .03)))
        tone = self.cap if self.haircut == "cap" else self.hair
        c = mix(c, tone * (1 + .2 * grain[1])[:, None], hair)
        worn = 1 + .08 * grain[2] + .04 * grain[3]
        for cloth, where in zip(self.cloth, (above, below, shoes)):
            c = mix(c, cloth.paint(p) * worn[:, None], where)
        return c * (.93 + .07 * n[:, 1])[:, None]

    def thickness(self, p: np.ndarray) -> np.ndarray:
        """(V,) metres for the template's vertices p."""
        hair, above, below, shoes = self._regions(p)
        folds = np.clip(1 + .5 * noise(p, 9, self.waves), 0, 2)
        return (hair * self.volume[str(self.haircut)] + shoes * .006
                + folds * (above * self.loose[0] + below * self.loose[1])).astype(np.float32)

    def _regions(self, p: np.ndarray) -> list[np.ndarray]:
        """Where hair, the upper and lower clothes and the shoes are; (N,) float32 each, one at most is 1."""
        x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
        line = np.interp(z, [-.09, -.045, -.018, .012, .028, .042, .052, .070, .095],
                         [.655, .660, .690, .735, .705, .712, .760, .783, .793])
        hair = (y > line) & (y > .62)
        if self.haircut == "long":
            hair |= (z < -.01) & (y > .45) & (x < .11)
        hair &= self.haircut != "bald"
        above = (np.hypot(x, z + .006) > self.collar) | (y < NECK - .05)
        above &= (x < self.sleeve) & (y > self.hem) & (y < NECK + .03) & ~hair
        below = (y <= self.hem) & (y > self.leg) & (x < .3)
        shoes = (y <= SHOE_TOP) & (not self.barefoot)
        return [mask.astype(np.float32) for mask in (hair, above, below & ~shoes, shoes)]


class _Cloth:
    """A colour, sometimes with a pattern."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.kind = rng.choice(["plain", "stripes", "checks", "blotches", "halves"], p=[.5, .16, .1, .16, .08])
        self.colours = np.stack([colour(rng), colour(rng)])
        self.period = np.exp(rng.uniform(np.log(.02), np.log(.16)))
        direction = rng.normal(size=3)
        self.direction = np.eye(3)[1] if rng.random() < .6 else direction / np.linalg.norm(direction)
        self.seed = int(rng.integers(1 << 30))

    def paint(self, p: np.ndarray) -> np.ndarray:
        phase = 2 * np.pi / self.period * p
        along, across = (np.sin(phase @ d) > 0 for d in (self.direction, self.direction[[1, 2, 0]]))
        blotches = noise(p, 1 / self.period, self.seed) > .2 if self.kind == "blotches" else along
        choice = {"plain": np.zeros(len(p)), "stripes": along, "checks": along ^ across, "blotches": blotches,
                  "halves": p[:, 0] > 0}[str(self.kind)]
        return mix(np.tile(self.colours[0], (len(p), 1)), self.colours[1], choice)
