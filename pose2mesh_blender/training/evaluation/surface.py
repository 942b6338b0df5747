"""How good a mesh is as a surface: where its vertices are, stretched edges, wrong creases, parts inside other parts."""
from __future__ import annotations

import numpy as np

from ...core.body import Body
from ..metrics import procrustes_align

HANDS = (20, 21, 22, 23)  # smpl24 joints whose vertices are the hands
SHORTEST = 0.005  # metres; between toes and in the face edges are so short that a ratio says nothing
CELL = 0.01  # metres, of the grid that finds the triangles over a point
OUTSIDE = 0.002  # metres that a test point lies off its surface
# No triangle of a body is parallel to this direction but by chance, so a ray along it never runs along one.
_VIEW = np.linalg.qr(np.array([[.83, .31, .46], [-.21, .94, .27], [-.35, .33, .88]]))[0]
COLUMNS = ("MPVPE", "PA-MPVPE", "MPVPE without hands", "edges %", "edges worst %", "normals °", "creases °", "inside %",
           "inside, truth %")


class SurfaceMeasure:
    """Compares meshes with true ones; topology is read off the body once."""

    def __init__(self, body: Body):
        self.faces = body.faces.astype(np.int64)
        self.hands = np.isin(body.weights.argmax(1), HANDS)
        sides = self.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
        owner = np.repeat(np.arange(len(self.faces)), 3)
        order = np.lexsort(np.sort(sides, 1).T)
        pairs = np.sort(sides, 1)[order]
        self.edges, self.neighbours = pairs[::2], owner[order].reshape(-1, 2)  # closed: every edge has two faces
        assert (pairs[::2] == pairs[1::2]).all()

    def __call__(self, predicted: np.ndarray, truth: np.ndarray, truth_inside: np.ndarray) -> dict[str, np.ndarray]:
        """(N, 6890, 3) metres, root-relative, twice, and `inside_share` of the truth -> measures (N,): mm, percent,
        degrees; see COLUMNS.

        edges: mean change of an edge's length once the whole mesh has the right size, and the 99th percentile of the
        relative change; normals: angle between face normals after Procrustes alignment; creases: change of the angle
        between neighbouring faces, which no pose changes much: what shading shows as lumps; inside: share of vertices
        within another part of the body.
        """
        aligned = procrustes_align(predicted, truth)
        off = np.linalg.norm(predicted - truth, axis=-1) * 1000
        out = {"MPVPE": off.mean(1), "PA-MPVPE": np.linalg.norm(aligned - truth, axis=-1).mean(1) * 1000,
               "MPVPE without hands": off[:, ~self.hands].mean(1)}
        length, true = self._lengths(predicted), self._lengths(truth)
        length = length * (np.median(true, 1) / np.median(length, 1))[:, None]
        out["edges %"] = 100 * np.abs(length - true).sum(1) / true.sum(1)
        change = np.where(true > SHORTEST, np.abs(length / np.maximum(true, 1e-9) - 1), np.nan)
        out["edges worst %"] = 100 * np.nanpercentile(change, 99, axis=1)
        normals, true_normals = self.normals(aligned), self.normals(truth)
        out["normals °"] = _degrees((normals * true_normals).sum(-1)).mean(1)
        bend, true_bend = (_degrees((n[:, self.neighbours[:, 0]] * n[:, self.neighbours[:, 1]]).sum(-1))
                           for n in (normals, true_normals))
        out["creases °"] = np.abs(bend - true_bend).mean(1)
        out["inside %"], out["inside, truth %"] = self.inside_share(predicted), truth_inside
        return out

    def inside_share(self, vertices: np.ndarray) -> np.ndarray:
        """(N, 6890, 3) -> (N,) percent of the vertices that lie within another part of the body."""
        return np.array([100 * self.inside(v).mean() for v in vertices])

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(..., 6890, 3) -> unit face normals (..., 13776, 3), outwards."""
        a, b, c = (vertices[..., self.faces[:, i], :] for i in range(3))
        n = np.cross(b - a, c - a)
        return n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-12)

    def inside(self, vertices: np.ndarray) -> np.ndarray:
        """(6890, 3) metres -> (6890,) bool: the vertex lies within another part of the closed surface.

        Exact, by the winding number of the point 2 mm off the vertex along its normal: how often a ray from there
        leaves the body more than it enters it. Outside that is 0. All rays are parallel, so in the plane across them
        every question is which triangles cover which points.
        """
        vertices = vertices.astype(np.float64)
        normal = np.zeros_like(vertices)
        a, b, c = (vertices[self.faces[:, i]] for i in range(3))
        area = np.cross(b - a, c - a)
        for i in range(3):
            np.add.at(normal, self.faces[:, i], area)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-15)
        points = (vertices + OUTSIDE * normal) @ _VIEW
        corners = (vertices @ _VIEW)[self.faces]
        flat = corners[:, :, :2]
        face, point = _candidates(flat, points[:, :2])
        x, y = (flat[face, :, i].T - points[point, i] for i in (0, 1))  # (3, pairs) corners seen from the point
        weights = np.stack([x[i] * y[j] - x[j] * y[i] for i, j in ((1, 2), (2, 0), (0, 1))])
        covers = np.flatnonzero((weights.min(0) > 0) | (weights.max(0) < 0))
        weights, face, point = weights[:, covers], face[covers], point[covers]
        total = weights.sum(0)
        hit = (weights * corners[face, :, 2].T).sum(0) / total > points[point, 2]
        winding = np.bincount(point[hit], np.sign(total[hit]), len(points))
        return np.round(winding) >= 1

    def _lengths(self, vertices: np.ndarray) -> np.ndarray:
        return np.linalg.norm(vertices[:, self.edges[:, 0]] - vertices[:, self.edges[:, 1]], axis=-1)


def _candidates(triangles: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """triangles (F, 3, 2), points (P, 2) -> pairs (face, point) that share a cell of a grid, each pair once."""
    low = points.min(0)
    columns, rows = (np.ptp(points, axis=0) / CELL).astype(int) + 1

    def cell(at: np.ndarray) -> np.ndarray:
        return np.clip(((at - low) / CELL).astype(int), 0, [columns - 1, rows - 1])

    first, last = cell(triangles.min(1)), cell(triangles.max(1))
    size = last - first + 1
    face, step = _runs(size.prod(1))
    across = size[face, 0]
    at = first[face] + np.stack([step % across, step // across], 1)
    home = cell(points) @ (1, columns)
    order = np.argsort(home, kind="stable")
    start = np.searchsorted(home[order], np.arange(columns * rows + 1))
    key = at @ (1, columns)
    pair, step = _runs(start[key + 1] - start[key])
    return face[pair], order[start[key[pair]] + step]


def _runs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) -> index of the run and place in it for every one of sum(counts) elements."""
    run = np.repeat(np.arange(len(counts)), counts)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)


def _degrees(cosine: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
