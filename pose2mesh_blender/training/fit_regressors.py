"""Learns the joint regressors of the embedded body: sparse, convex, left-right symmetric.

    python -m pose2mesh_blender.training.fit_regressors --coco J_regressor_coco.npy --h36m J_regressor_h36m.npy

Random bodies in random poses are skinned; each joint's target is the posed skeleton joint (smpl24) or the place that
the published row of weights (coco17, h36m17) names on this body. Our own weights are then fitted to those places:
non-negative, summing to one, at most `MAX_ENTRIES` vertices, and tied through the body's mirror map.
`training/data/regressors.npz` holds the result, which `build_body` puts into the body asset; only this script needs
the published rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from ..core.body import Body

DATA = Path(__file__).resolve().parent / "data"
OUTPUT = DATA / "regressors.npz"
MAX_ENTRIES = 16
PER_DIRECTION = 10  # candidate vertices in each of 60 directions around the joint
SAMPLES = 300
FEET6 = (3216, 3226, 3387, 6617, 6624, 6787)  # big toe, small toe, heel; left, then right
COCO_FACE = (331, 2802, 6262, 3489, 3990)  # nose, left eye, right eye, left ear, right ear

# For each joint the one on the other side (itself on the midline).
MIRROR_JOINT = {
    "smpl24": (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22),
    "h36m17": (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13),
    "coco17": (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15),
}

# Standard deviation of the random rotations in degrees: about x (flexion), y (twist), z (sideways), per smpl24 joint.
_SPREAD = {0: (15, 60, 15), 1: (35, 15, 15), 3: (10, 8, 8), 4: (35, 5, 5), 6: (10, 8, 8), 7: (15, 10, 8), 9: (10, 8, 8),
           10: (10, 3, 3), 12: (12, 15, 10), 13: (5, 10, 10), 15: (12, 15, 10), 16: (25, 25, 40), 18: (10, 40, 10),
           20: (20, 15, 25), 22: (5, 5, 15)}  # fmt: skip


def random_bodies(body: Body, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bodies of random shape in random poses: vertices (count, 6890, 3), joints (count, 24, 3), metres."""
    rng = np.random.default_rng(seed)
    spread = np.radians([_SPREAD.get(j, _SPREAD.get(j - 1)) for j in range(24)])
    rotvec = rng.normal(size=(count, 24, 3)) * spread
    rotvec[:, 4:6, 0] = np.abs(rotvec[:, 4:6, 0])  # knees bend backwards only
    rotvec[:, 18, 1] = -np.abs(rotvec[:, 18, 1])  # elbows bend forwards only
    rotvec[:, 19, 1] = np.abs(rotvec[:, 19, 1])
    rotvec[:, 16, 2] -= np.radians(35)  # arms hang more often than they point sideways
    rotvec[:, 17, 2] += np.radians(35)
    local = _rodrigues(rotvec)
    rotations = local.copy()
    for j in range(1, 24):
        rotations[:, j] = rotations[:, body.parents[j]] @ local[:, j]
    shape = rng.normal(size=(count, len(body.shapedirs)))
    vertices, joints = zip(*(body.pose(rotations[i : i + 20], shape[i : i + 20]) for i in range(0, count, 20)))
    return np.concatenate(vertices), np.concatenate(joints)


def fit_rows(
    body: Body, vertices: np.ndarray, targets: np.ndarray, places: np.ndarray, mirror_joint: tuple[int, ...]
) -> np.ndarray:
    """Dense weights (J, 6890) whose products with vertices (N, 6890, 3) come nearest to targets (N, J, 3).

    places (J, 3): where the joints are on the template, to look for vertices around them.
    """
    rows = np.zeros((targets.shape[1], vertices.shape[1]))
    for joint, other in enumerate(mirror_joint):
        if joint > other:
            continue
        near = _around(body.v_template, places[joint])
        if joint == other:
            left = np.unique(np.minimum(near, body.mirror[near]))
            groups = [(v, body.mirror[v]) for v in left]
            columns = np.stack([vertices[:, g].mean(1) for g in groups], -1)  # a pair shares its weight
            system = columns.reshape(-1, len(groups))
            weights = _sparse_convex(system, targets[:, joint].ravel(), MAX_ENTRIES // 2)
            for group, weight in zip(groups, weights):
                np.add.at(rows[joint], list(group), weight / 2)
        else:
            here, there = vertices[:, near], vertices[:, body.mirror[near]]
            system = np.concatenate([here, there]).transpose(0, 2, 1).reshape(-1, len(near))
            goal = np.concatenate([targets[:, joint], targets[:, other]]).ravel()
            weights = _sparse_convex(system, goal, MAX_ENTRIES)
            rows[joint, near] = weights
            rows[other, body.mirror[near]] = weights
    return rows


def fit_all(body: Body, published: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """published: dense rows (17, 6890) for coco17 and h36m17. Returns dense rows (J, 6890) of all four sets."""
    vertices, joints = random_bodies(body, SAMPLES, seed=1)
    rows = {"smpl24": fit_rows(body, vertices, joints, body.J_template, MIRROR_JOINT["smpl24"])}
    for name, dense in published.items():
        dense = _normalised(dense)
        targets = _apply(dense, vertices)
        rows[name] = fit_rows(body, vertices, targets, dense @ body.v_template, MIRROR_JOINT[name])
    rows["coco17"][:5] = np.eye(vertices.shape[1])[list(COCO_FACE)]
    rows["feet6"] = np.eye(vertices.shape[1])[list(FEET6)]
    return rows


def residuals(body: Body, rows: dict[str, np.ndarray], published: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Distance (N, J) in metres between our joints and their targets on bodies that were not used for the fit."""
    vertices, joints = random_bodies(body, 100, seed=2)
    distances = {}
    for name in ("smpl24", *published):
        target = joints if name == "smpl24" else _apply(_normalised(published[name]), vertices)
        distances[name] = np.linalg.norm(_apply(rows[name], vertices) - target, axis=-1)
    return distances


def to_csr(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Dense rows per set -> `<set>_indptr`, `<set>_indices`, `<set>_data` arrays."""
    arrays: dict[str, np.ndarray] = {}
    for name, dense in rows.items():
        joint, vertex = np.nonzero(dense)
        arrays[f"{name}_indptr"] = np.searchsorted(joint, np.arange(len(dense) + 1)).astype(np.int32)
        arrays[f"{name}_indices"] = vertex.astype(np.uint16)
        arrays[f"{name}_data"] = dense[joint, vertex].astype(np.float32)
    return arrays


def _normalised(dense: np.ndarray) -> np.ndarray:
    return dense / dense.sum(1, keepdims=True)


def _apply(dense: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    return np.einsum("jv,nvc->njc", dense, vertices, optimize=True)


def _around(template: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The nearest vertices in each direction around a place inside the body, so that they can enclose it."""
    turn = np.arange(60) + 0.5
    height, angle = 1 - turn / 30, turn * np.pi * (1 + 5**0.5)
    radius = np.sqrt(1 - height**2)
    directions = np.stack([radius * np.cos(angle), height, radius * np.sin(angle)], 1)
    offset = template - place
    distance = np.linalg.norm(offset, axis=1)
    sector = (offset @ directions.T).argmax(1)
    order = np.argsort(distance)
    order = order[distance[order] < 0.4]
    return np.concatenate([order[sector[order] == k][:PER_DIRECTION] for k in range(len(directions))])


def _sparse_convex(system: np.ndarray, target: np.ndarray, entries: int) -> np.ndarray:
    """Non-negative weights that sum to one, at most `entries` of them, for system (M, C) @ weights = target (M,)."""
    used = np.arange(system.shape[1])
    weights = _convex(system, target)
    while np.count_nonzero(weights) > entries:  # drop the smallest fifth, refit, until few enough remain
        alive = np.flatnonzero(weights)
        keep = max(entries, int(len(alive) * 0.8))
        alive = alive[np.argsort(-weights[alive])[:keep]]
        used = used[alive]
        weights = _convex(system[:, used], target)
    full = np.zeros(system.shape[1])
    full[used] = weights
    return full


def _convex(system: np.ndarray, target: np.ndarray) -> np.ndarray:
    offset = system - target[:, None]  # weights that sum to one leave offset @ weights as the error
    heavy = 100 * len(offset) * np.mean(offset**2)  # asks for that sum; scaled out exactly at the end
    gram = offset.T @ offset + heavy
    chol = np.linalg.cholesky(gram + 1e-10 * np.trace(gram) * np.eye(len(gram)))
    weights, _ = nnls(chol.T, np.linalg.solve(chol, np.full(len(gram), heavy)), maxiter=20 * len(gram))
    weights[weights < 1e-3] = 0
    return weights / weights.sum()


def _rodrigues(rotvec: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec / np.maximum(angle[..., 0], 1e-12), -1, 0)
    o = np.zeros_like(x)
    k = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*rotvec.shape, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Fit the joint regressors of the embedded body.")
    parser.add_argument("--coco", type=Path, required=True, help="published COCO rows, .npy (17, 6890)")
    parser.add_argument("--h36m", type=Path, required=True, help="published Human3.6M rows, right leg first")
    parser.add_argument("--body", type=Path, help="body asset to fit on (default: the bundled one)")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    args = parser.parse_args(argv)

    from ..core.body import load_body

    body = load_body(args.body)
    published = {"h36m17": np.load(args.h36m), "coco17": np.load(args.coco)}
    rows = fit_all(body, published)
    for name, distance in residuals(body, rows, published).items():
        entries = np.count_nonzero(rows[name], axis=1)
        mm = distance * 1e3
        print(f"{name}: residual mean {mm.mean():.1f} mm, worst joint {mm.mean(0).max():.1f}, max {mm.max():.1f}; "
              f"{entries.sum()} entries, {entries.min()}-{entries.max()} a joint")
        print("   per joint, mm:", " ".join(f"{d:.1f}" for d in mm.mean(0)))
    np.savez_compressed(args.output, **to_csr(rows))
    print(f"Wrote {args.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
