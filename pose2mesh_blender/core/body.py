"""The embedded body: SMPL's topology, shape space, 24-joint skeleton and skinning. No `bpy` module use.

Axes: y up, +z forward, +x the body's left, metres, T-pose at rest.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from .errors import AssetError

REGRESSORS = ("smpl24", "h36m17", "coco17", "feet6")


@dataclass(frozen=True)
class Regressor:
    """Sparse rows of vertex weights: joints = R @ vertices."""

    indptr: np.ndarray  # (J+1,)
    indices: np.ndarray  # (nnz,)
    data: np.ndarray  # (nnz,)

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        """vertices (..., V, 3) -> joints (..., J, 3), same units."""
        weighted = vertices[..., self.indices, :] * self.data[:, None].astype(vertices.dtype)
        return np.add.reduceat(weighted, self.indptr[:-1], axis=-2)


@dataclass(frozen=True)
class Body:
    """Arrays of a body with SMPL's connectivity."""

    v_template: np.ndarray  # (6890, 3)
    shapedirs: np.ndarray  # (K, 6890, 3), per standard deviation
    J_template: np.ndarray  # (24, 3)
    J_shapedirs: np.ndarray  # (K, 24, 3)
    parents: np.ndarray  # (24,), root -1
    weights: np.ndarray  # (6890, 24), rows sum to 1, at most 4 entries
    faces: np.ndarray  # (13776, 3)
    vt: np.ndarray  # (7576, 2)
    ft: np.ndarray  # (13776, 3)
    mirror: np.ndarray  # (6890,), index of each vertex's mirror partner
    regressors: dict[str, Regressor] = field(default_factory=dict)

    def regress(self, joint_set: str, vertices: np.ndarray) -> np.ndarray:
        """joint_set: smpl24 | h36m17 | coco17 | feet6; vertices (..., 6890, 3) -> joints (..., J, 3)."""
        return self.regressors[joint_set](vertices)

    def rest(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """shape (..., K) -> rest vertices (..., 6890, 3) and joints (..., 24, 3)."""
        return (self.v_template + np.tensordot(shape, self.shapedirs, 1),
                self.J_template + np.tensordot(shape, self.J_shapedirs, 1))

    def pose(self, rotations: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear blend skinning.

        rotations: (N, 24, 3, 3) global (not parent-relative) joint rotations; shape: (N, K).
        Returns vertices (N, 6890, 3) and joints (N, 24, 3), root joint at its rest position.
        """
        vertices, joints = self.rest(shape)
        posed = pose_joints(rotations, joints, self.parents)
        offset = posed - np.einsum("njab,njb->nja", rotations, joints)
        transforms = np.concatenate([rotations, offset[..., None]], -1).reshape(len(rotations), 24, 12)
        blend = (self.weights @ transforms).reshape(len(rotations), -1, 3, 4)
        return np.einsum("nvab,nvb->nva", blend[..., :3], vertices) + blend[..., 3], posed


def pose_joints(rotations: np.ndarray, joints: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Forward kinematics with global rotations (N, 24, 3, 3) on rest joints (N, 24, 3) -> posed joints (N, 24, 3)."""
    posed = np.empty_like(joints)
    posed[:, 0] = joints[:, 0]
    for j in range(1, len(parents)):
        p = parents[j]
        posed[:, j] = posed[:, p] + np.einsum("nab,nb->na", rotations[:, p], joints[:, j] - joints[:, p])
    return posed


def read_body(path: Path) -> Body:
    """Reads a body asset (.npz). Raises AssetError when arrays are missing or have the wrong shape."""
    try:
        with np.load(path, allow_pickle=False) as z:
            weights = np.zeros((6890, 24), np.float32)
            np.put_along_axis(weights, z["weights_idx"].astype(np.int64), z["weights_val"].astype(np.float32), 1)
            regressors = {name: Regressor(z[f"{name}_indptr"].astype(np.int64), z[f"{name}_indices"].astype(np.int64),
                                          z[f"{name}_data"].astype(np.float32)) for name in REGRESSORS
                          if f"{name}_indptr" in z}
            body = Body(z["v_template"].astype(np.float32), z["shapedirs"].astype(np.float32),
                        z["J_template"].astype(np.float32), z["J_shapedirs"].astype(np.float32),
                        z["parents"].astype(np.int64), weights / weights.sum(1, keepdims=True),
                        z["faces"].astype(np.int32), z["vt"].astype(np.float32), z["ft"].astype(np.int32),
                        z["mirror"].astype(np.int64), regressors)
    except (OSError, KeyError, ValueError) as e:
        raise AssetError(f"{path}: not a readable body asset ({e}).", "Reinstall the add-on.") from e
    if body.v_template.shape != (6890, 3) or body.faces.shape != (13776, 3):
        raise AssetError(f"{path}: the body does not have SMPL's 6890 vertices and 13776 faces.",
                         "Reinstall the add-on.")
    return body


@lru_cache(maxsize=1)
def embedded_body() -> Body:
    from .assets import asset_path

    return read_body(asset_path("body.npz"))


def load_body(path: Path | None = None) -> Body:
    """The embedded body, or the asset at `path`."""
    return embedded_body() if path is None else read_body(path)
