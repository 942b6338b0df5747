"""The mesh pyramid: coarser and coarser graphs of the body by heavy-edge matching (Dhillon et al. 2007, "Graclus").

Real vertices only. Sorting is stable, and the result is stored with the weights: it is never rebuilt at load time,
because ties make it depend on the sorting algorithm.
"""
from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh

from ..core.body import Body
from ..core.network import joints as J
from ..core.network.torch_meshnet import Level, MeshNet, MeshNetConfig, SparseRows


def adjacency(faces: np.ndarray, count: int) -> sp.csr_matrix:
    """faces (F, 3) -> (V, V) 0/1 symmetric."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    a = sp.coo_matrix((np.ones(len(edges)), edges.T), (count, count))
    return ((a + a.T) > 0).astype(np.float64).tocsr()


def rescaled_laplacian(a: sp.csr_matrix) -> SparseRows:
    """2 L / lambda_max - I of the normalised Laplacian (Defferrard et al. 2016): eigenvalues in -1..1."""
    d = sp.diags(1 / np.sqrt(np.maximum(np.asarray(a.sum(1)).ravel(), 1e-9)))
    identity = sp.identity(a.shape[0])
    laplacian = identity - d @ a @ d
    largest = eigsh(laplacian, k=1, which="LM", return_eigenvectors=False, v0=np.ones(a.shape[0]))[0]
    out = (2 / largest * laplacian - identity).tocsr()
    out.sort_indices()
    return SparseRows(out.indptr, out.indices, out.data.astype(np.float32))


def match(a: sp.csr_matrix) -> np.ndarray:
    """One round of heavy-edge matching: (V,) cluster numbers, at most two vertices each."""
    degree = np.asarray(a.sum(1)).ravel()
    cluster, count = np.full(a.shape[0], -1), 0
    for v in np.argsort(degree, kind="stable"):
        if cluster[v] >= 0:
            continue
        near = slice(a.indptr[v], a.indptr[v + 1])
        free = [(w / degree[v] + w / degree[u], -u) for u, w in zip(a.indices[near], a.data[near])
                if u != v and cluster[u] < 0]
        cluster[v] = count
        if free:
            cluster[-max(free)[1]] = count
        count += 1
    return cluster


def build_pyramid(faces: np.ndarray, count: int = 6890, levels: int = 8) -> list[Level]:
    """Coarsest first; about half the vertices per level."""
    a, out = adjacency(faces, count), []
    for depth in range(levels):
        last = depth == levels - 1
        parents = None if last else match(a)
        out.append(Level(rescaled_laplacian(a), parents))
        if not last:
            s = sp.csr_matrix((np.ones(len(parents)), (parents, np.arange(len(parents)))))
            a = (s @ a @ s.T).tocsr()
            a.setdiag(0)
            a.eliminate_zeros()
    return out[::-1]


def joint_graph(rest: np.ndarray, neighbours: int = 5) -> SparseRows:
    """Graph over the network's joints, each linked to its nearest ones at rest. (J, 3) -> rescaled Laplacian."""
    d = np.linalg.norm(rest[:, None] - rest[None], axis=-1)
    near = np.argsort(d, axis=1, kind="stable")[:, 1:neighbours + 1]
    a = np.zeros_like(d)
    np.put_along_axis(a, near, 1, 1)
    return rescaled_laplacian(sp.csr_matrix(np.maximum(a, a.T)))


def new_meshnet(body: Body) -> MeshNet:
    """An untrained MeshNet on this body's pyramid."""
    rest = J.lift_points(body.v_template[None], body.J_template[None], body)[0]
    return MeshNet(body, build_pyramid(body.faces), joint_graph(rest), MeshNetConfig(shape=len(body.shapedirs)))
