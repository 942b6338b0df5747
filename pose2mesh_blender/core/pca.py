"""Few shapes that mix into many: PCA of moving points, with its error in millimetres. No `bpy` module use."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rig import Distances, Rig

SAMPLES = 400  # frames that the shapes are made from
_CHUNK = 64


@dataclass(frozen=True)
class Pca:
    """points of frame n = base + weights[n] . shapes"""

    base: np.ndarray  # (V, 3) float32
    shapes: np.ndarray  # (K, V, 3) float32 offsets at weight 1
    weights: np.ndarray  # (N, K) 0..1
    error: Distances  # of the mixed points

    def points(self, row: int) -> np.ndarray:
        return self.base + np.tensordot(self.weights[row].astype(np.float32), self.shapes, 1)


def compact(points: np.ndarray, budget: float, largest: float = 0.0, most: int = 128) -> Pca:
    """The fewest shapes, at most `most`, that keep the mean error within `budget` millimetres and every vertex of every
    frame within `largest` (0: no bound); points (N, V, 3) metres."""
    count = len(points)
    rows = np.unique(np.linspace(0, count - 1, min(count, SAMPLES)).astype(int))
    mean = np.asarray(points[rows], np.float64).mean(0).astype(np.float32)
    sample = (points[rows] - mean).reshape(len(rows), -1).astype(np.float32)
    values, vectors = np.linalg.eigh((sample @ sample.T).astype(float))
    order = [i for i in np.argsort(-values)[:most] if values[i] > 1e-12 * max(values.max(), 1e-12)]
    # orthonormal only after another QR: the products are float32, and what is weak in them is noise
    basis = np.linalg.qr((vectors[:, order].T.astype(np.float32) @ sample).T)[0].T  # (K, 3V)
    weights = np.concatenate([(points[i:i + _CHUNK] - mean).reshape(-1, mean.size) @ basis.T
                              for i in range(0, count, _CHUNK)])

    def good(shapes: int, rows: slice | np.ndarray = slice(None)) -> Distances | None:
        error = _error(points[rows], mean, basis[:shapes], weights[rows, :shapes])
        return error if error.within(budget, largest) or shapes == len(basis) else None

    low, high = 0, len(basis)
    while low < high:
        middle = (low + high) // 2
        if good(middle, rows):
            high = middle
        else:
            low = middle + 1
    while (error := good(low)) is None:  # frames that are not in the sample
        low = min(low + max(1, low // 16), len(basis))
    basis, weights = basis[:low], weights[:, :low]
    least, span = weights.min(0, initial=np.inf), np.ptp(weights, 0) if low else np.zeros(0)
    if low:
        mean = mean + (least @ basis).reshape(mean.shape).astype(np.float32)
        weights = (weights - least) / np.maximum(span, 1e-12)
    return Pca(mean, (basis * span[:, None]).reshape(low, *mean.shape).astype(np.float32), weights, error)


def correctives(rig: Rig, vertices: np.ndarray, budget: float, most: int = 32) -> Pca:
    """Shapes of the mesh at rest that, skinned, bring it to `vertices` (N, 6890, 3) within `budget` mm on average."""
    wanted = np.empty(vertices.shape, np.float32)
    for start in range(0, len(vertices), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(vertices)))
        blend = (rig.weights @ rig.rotations[rows].reshape(-1, len(rig.parents), 9).astype(np.float32))
        gap = vertices[rows] - rig.skin(rows)
        wanted[rows] = rig.rest + np.linalg.solve(blend.reshape(*gap.shape, 3), gap[..., None])[..., 0]
    return compact(wanted, budget, most=most)


def _error(points: np.ndarray, mean: np.ndarray, basis: np.ndarray, weights: np.ndarray) -> Distances:
    parts = []
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        gap = points[rows] - mean - (weights[rows] @ basis).reshape(points[rows].shape)
        gap = 1000 * np.linalg.norm(gap, axis=2)
        place = min(int(.95 * gap.shape[1]), gap.shape[1] - 1)
        parts.append((gap.mean(1), np.partition(gap, place, 1)[:, place], gap.max(1)))
    return Distances(*map(np.concatenate, zip(*parts)))
