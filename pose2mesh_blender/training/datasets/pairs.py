"""Pictures of datasets as PoseNet's training pairs: keypoints as somebody found them, and the body's true points."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...core.body import Body
from ...core.camera import Normalised, normalise, pixels_to_rays
from ...core.network import joints as J
from ...core.network.features import features
from ...core.placement import fit_translation
from ...core.skeletons import BODY23_FLIP, SMPL24_PARENTS
from ..detector_noise import detect
from ..sequences import PointSkinner
from ..synthetic import MIRROR, SMPL_FLIP, global_rotations, hidden
from .record import Clip, View

WORST_FIT = 3 / 64  # mean distance of fit and keypoints in shares of the box, as for COCO in Pose2Mesh
FEWEST = 6  # keypoints
LENS = 0.12  # how far the logarithm of a focal length may err, as in sequences.py
SHAPE_PENALTY = 1e-4  # square metres per square standard deviation, against limb lengths
CHUNK = 4096


@dataclass(frozen=True)
class Pairs:
    """N pictures of one person each, on our body. Camera axes: x right, y down, z forward."""

    keypoints: np.ndarray  # (N, 23, 3) body23, pixels and confidence, 0 = absent
    intrinsics: np.ndarray  # (N, 3, 3)
    local: np.ndarray  # (N, 24, 3, 3) parent-relative, the root's to the camera
    shape: np.ndarray  # (N, K)
    exact: np.ndarray  # (N,) bool: keypoints without a detector's errors
    aimed: np.ndarray  # (N,) bool: the root's rotation is in the axes of a camera aimed at the person

    def __len__(self) -> int:
        return len(self.exact)


class ShapeMatch:
    """SMPL's shape coefficients -> ours, so that limbs and trunk get the same lengths (rotations carry the rest)."""

    def __init__(self, smpl: Body, body: Body):
        """smpl: the body that the data was fitted with; body: the one that the network is trained on."""
        self._same = smpl is body
        self._smpl, self._count = smpl, len(body.shapedirs)
        child, parent = np.arange(1, 24), np.array(SMPL24_PARENTS[1:])
        self._bones = child, parent
        bones = body.J_template[child] - body.J_template[parent]
        self._rest = np.linalg.norm(bones, axis=1)
        grow = body.J_shapedirs[:, child] - body.J_shapedirs[:, parent]
        self._grow = (grow * bones / self._rest[:, None]).sum(-1)  # (K, 23)

    def __call__(self, betas: np.ndarray) -> np.ndarray:
        """betas (N, B) -> (N, K)."""
        count = min(betas.shape[1], len(self._smpl.shapedirs))
        if self._same:
            return np.pad(betas[:, :count], ((0, 0), (0, self._count - count))).astype(np.float32)
        joints = self._smpl.J_template + np.tensordot(betas[:, :count], self._smpl.J_shapedirs[:count], 1)
        child, parent = self._bones
        longer = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) - self._rest
        lhs = self._grow @ self._grow.T + SHAPE_PENALTY * np.eye(self._count)
        return np.clip(np.linalg.solve(lhs, self._grow @ longer.T).T, -3, 3).astype(np.float32)


def view_pairs(clip: Clip, view: View, local: np.ndarray, match: ShapeMatch) -> Pairs:
    """One view of a clip as pairs; local: the clip's rotations on our rest pose, (F, 24, 3, 3)."""
    rotations = local[view.frames].copy()
    rotations[:, 0] = view.orientation
    count = len(view.frames)
    return Pairs(view.keypoints, view.intrinsics, rotations, match(clip.betas[view.frames]), np.full(count, view.exact),
                 np.full(count, view.aimed))


def joined(parts: list[Pairs]) -> Pairs:
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in Pairs.__dataclass_fields__))


class PairSampler:
    """Draws training pairs; pictures whose fit does not lie on its keypoints are left out from the start."""

    def __init__(self, body: Body, pairs: Pairs, seed: int = 0):
        self._skin, self._rng = PointSkinner(body), np.random.default_rng(seed)
        kept = [self._fits(pairs, np.arange(i, min(i + CHUNK, len(pairs)))) for i in range(0, len(pairs), CHUNK)]
        keep = np.concatenate(kept) if kept else np.zeros(0, bool)
        self.pairs = Pairs(*(getattr(pairs, name)[keep] for name in Pairs.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """PoseNet's input (N, 71), points (N, 71, 3) in virtual camera axes and shape (N, K). Half are mirrored, all
        see a lens that is a little off, and exact keypoints get a detector's errors."""
        rng, p = self._rng, self.pairs
        rows = rng.integers(0, len(p), count)
        rays, confidence = _rays(p, rows)
        view, points, root = self._solved(p, rows, rays, confidence)
        local, shape = p.local[rows], p.shape[rows]
        exact = np.flatnonzero(p.exact[rows])
        if len(exact):
            real = points[exact] @ view.rotation[exact].transpose(0, 2, 1).astype(np.float32)
            seen = J.detector_points(real, 0.0) + root[exact, None]
            behind = hidden(real, root[exact], seen)
            there = confidence[exact] > 0  # errors depend on the whole person: the fit stands in for what is absent
            whole = np.where(there[..., None], rays[exact], seen[..., :2] / np.maximum(seen[..., 2:], .2))
            noisy, scores = detect(whole[:, None], behind[:, None], np.zeros(len(exact), bool),
                                   np.zeros((len(exact), 1), np.float32), rng)
            rays[exact], confidence[exact] = noisy[:, 0], scores[:, 0] * there
        flip = np.flatnonzero(rng.random(count) < .5)
        rays[flip] = rays[flip][:, BODY23_FLIP] * [-1, 1]
        confidence[flip] = confidence[flip][:, BODY23_FLIP]
        local[flip] = MIRROR @ local[flip][:, SMPL_FLIP] @ MIRROR
        rays = rays * np.exp(rng.normal(0, LENS, (count, 1, 1)))
        seen_by = normalise(rays, confidence)
        return features(seen_by, 0.0), self._points(local, _to_virtual(p, rows, seen_by), shape), shape

    def _points(self, local: np.ndarray, turn: np.ndarray, shape: np.ndarray) -> np.ndarray:
        """Root-relative (N, 71, 3) of bodies whose root is turned by (N, 3, 3)."""
        local = local.copy()
        local[:, 0] = turn @ local[:, 0]
        points = self._skin(global_rotations(local)[:, None], shape)[:, 0]
        return points - points[:, :1]

    def _solved(self, p: Pairs, rows: np.ndarray, rays: np.ndarray, confidence: np.ndarray
                ) -> tuple[Normalised, np.ndarray, np.ndarray]:
        """The virtual camera, points in it, and the root that puts them on their keypoints, in real camera axes."""
        view = normalise(rays, confidence)
        real = view.rotation.astype(np.float32)
        points = self._points(p.local[rows], _to_virtual(p, rows, view), p.shape[rows])
        root = fit_translation((points @ real.transpose(0, 2, 1))[:, J.BODY], rays, confidence)
        return view, points, root

    def _fits(self, p: Pairs, rows: np.ndarray) -> np.ndarray:
        """(N,) bool: enough keypoints, and the body can be placed so that it lies on them."""
        rays, confidence = _rays(p, rows)
        present = confidence > 0
        enough = present.sum(1) >= FEWEST
        view, points, root = self._solved(p, rows, rays, confidence)
        seen = points @ view.rotation.transpose(0, 2, 1).astype(np.float32)
        seen = seen[:, J.BODY] + np.nan_to_num(root, nan=1.0)[:, None]
        flat = seen[..., :2] / np.maximum(seen[..., 2:], .2)
        miss = np.linalg.norm(flat - rays, axis=-1) / (2 * np.exp(view.log_size))[:, None]
        mean = (miss * present).sum(1) / np.maximum(present.sum(1), 1)
        return enough & (mean < WORST_FIT)


def _to_virtual(p: Pairs, rows: np.ndarray, view: Normalised) -> np.ndarray:
    """(N, 3, 3) from the axes of the root's rotation to the virtual camera's."""
    return np.where(p.aimed[rows][:, None, None], np.eye(3), view.rotation.transpose(0, 2, 1)).astype(np.float32)


def _rays(p: Pairs, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays (N, 23, 2) and confidence (N, 23), which is 0 where a keypoint is absent."""
    keypoints = p.keypoints[rows].astype(np.float64)
    there = np.isfinite(keypoints).all(-1) & (keypoints[..., 2] > 0)
    points = np.where(there[..., None], keypoints[..., :2], 0)
    rays = np.stack([pixels_to_rays(one, k) for one, k in zip(points, p.intrinsics[rows])])
    return rays, np.where(there, np.clip(keypoints[..., 2], 0, 1), 0).astype(np.float64)
