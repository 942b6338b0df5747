"""A skeleton that follows a moving mesh: bones of constant length, fitted to the vertices alone. No `bpy` module use.

A vertex of a linearly skinned body is linear in the bones' global rotations R_b and the root's place t, because a
joint's place is: v' = t + sum_b R_b m_b(v). So all the squared distances between skinned and given vertices are a
quadratic form of 73 x 73 numbers, the same for every frame; what a frame adds is one product of a matrix with its
vertices. Rotations start from Procrustes per part (Kabsch 1976) and are refined together by Gauss-Newton steps.

Axes: y up, metres; at rest the body faces +z with its left towards +x, stands on y = 0 and has its pelvis above
the origin.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .body import Body, embedded_body, pose_joints
from .errors import ExportError

CHUNK = 64  # frames at a time: 64 x 6890 vertices, 5 MB
SAMPLES = 40  # frames that say what the person's own body is
STEPS = 4  # Gauss-Newton
ROUNDS = 3  # of body and poses in turn
PRIOR = 2.0  # weight of the joints that are usual for a body, against a vertex's
# Metres from the root bone to the pelvis, towards the front: Blender's FBX importer connects a bone to one that lies
# exactly along its parent, and then ignores where the animation puts it.
AHEAD = 1e-3
_CROSS = np.zeros((3, 3, 3))  # _CROSS[i] @ w = e_i x w
for _i, _j, _k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _CROSS[_i, _k, _j], _CROSS[_i, _j, _k] = 1.0, -1.0


@dataclass(frozen=True)
class Rig:
    """A skinned body and its motion; B bones, N frames."""

    rest: np.ndarray  # (6890, 3) float32 mesh at rest
    joints: np.ndarray  # (B, 3) bones' heads at rest
    parents: np.ndarray  # (B,), root -1
    weights: np.ndarray  # (6890, B) float32, rows sum to 1, at most 4 entries
    rotations: np.ndarray  # (N, B, 3, 3) global, from rest; identity is the rest pose
    pelvis: np.ndarray  # (N, 3) head of bone 0

    @property
    def places(self) -> np.ndarray:
        """(N, B, 3) bones' heads."""
        joints = np.tile(self.joints - self.joints[0], (len(self.pelvis), 1, 1))
        return pose_joints(self.rotations, joints, self.parents) + self.pelvis[:, None]

    @property
    def local(self) -> np.ndarray:
        """(N, B, 3, 3) rotations relative to the parent bone; bone 0 keeps its global one."""
        local = self.rotations.copy()
        for bone in range(1, len(self.parents)):
            local[:, bone] = self.rotations[:, self.parents[bone]].transpose(0, 2, 1) @ self.rotations[:, bone]
        return local

    def part(self, rows: slice) -> Rig:
        """The same body with some of the frames."""
        return replace(self, rotations=self.rotations[rows], pelvis=self.pelvis[rows])

    def skin(self, rows: slice | np.ndarray = slice(None), rest: np.ndarray | None = None) -> np.ndarray:
        """Skinned vertices (n, 6890, 3) of some frames; rest: (6890, 3) or (n, 6890, 3) instead of the rig's own."""
        rotations = self.rotations[rows]
        offsets = self.places[rows] - np.einsum("nbij,bj->nbi", rotations, self.joints)
        transforms = np.concatenate([rotations, offsets[..., None]], -1).reshape(len(rotations), -1, 12)
        blend = (self.weights @ transforms.astype(np.float32)).reshape(len(rotations), -1, 3, 4)
        rest = self.rest if rest is None else rest
        return np.einsum("nvij,nvj->nvi", blend[..., :3], np.broadcast_to(rest, blend.shape[:2] + (3,))) + blend[..., 3]


@dataclass(frozen=True)
class Distances:
    """How far the skinned mesh is from the given one: per frame (N,), millimetres, over the vertices."""

    mean: np.ndarray
    p95: np.ndarray
    max: np.ndarray

    def within(self, budget: float, largest: float = 0.0) -> bool:
        """Whether the mean is at most `budget` mm and no vertex of any frame is off by more than `largest` (0: any)."""
        return bool(self.mean.mean() <= budget and (not largest or self.max.max() <= largest))

    def __str__(self) -> str:
        return f"mean {self.mean.mean():.1f}, 95 % {self.p95.mean():.1f}, largest {self.max.max():.1f} mm"


def fit_rig(vertices: np.ndarray, body: Body | None = None, pose: str = "T") -> Rig:
    """The skeleton whose skinned mesh is nearest to `vertices` (N, 6890, 3), metres, y up, finite.

    Bone lengths and the mesh at rest are found from the vertices, too, within and around the shape space of `body`
    (default: the embedded one), so meshes of any body with SMPL's connectivity fit. pose: of the rest, "T" or "A"
    (arms 45 degrees down). Raises ExportError when there is no frame or a vertex is not finite.
    """
    body = body or embedded_body()
    count = len(vertices)
    if not count:
        raise ExportError("There is no frame to fit a skeleton to.", "Choose a range in which the person is seen.")
    sample = vertices[np.unique(np.linspace(0, count - 1, SAMPLES).astype(int))].astype(np.float32)
    if not np.isfinite(sample).all():
        raise ExportError("The mesh has vertices without a place.", "Animate the footage again.")
    rig = Rig(*_by_edges(sample, body), body.parents, body.weights, np.zeros((0, len(body.parents), 3, 3)),
              np.zeros((0, 3)))
    for left in range(ROUNDS - 1, -1, -1):
        # Whole parts could turn at rest, so the mesh stays in the shape space until the motion is known.
        rig = _pose(rig, sample)
        rest = _fit_rest(rig, sample)
        usual, joints = _in_shape_space(rest, body)
        rig = replace(rig, rest=rest if not left else usual, joints=joints)
    rig = _fit_joints(rig, sample, joints)
    if pose == "A":
        rig = _lower_arms(_pose(rig, sample))
        rig = replace(rig, rest=_fit_rest(rig, sample))
    stand = np.array([rig.joints[0, 0], rig.rest[:, 1].min(), rig.joints[0, 2] - AHEAD])
    rig = replace(rig, rest=rig.rest - stand.astype(np.float32), joints=rig.joints - stand)
    return _pose(rig, vertices)


def distances(rig: Rig, vertices: np.ndarray) -> Distances:
    """Compares all frames; vertices (N, 6890, 3) as given to `fit_rig`."""
    parts: list[tuple[np.ndarray, ...]] = []
    for rows in _chunks(len(vertices)):
        gap = 1000 * np.linalg.norm(rig.skin(rows) - vertices[rows], axis=2)
        parts.append((gap.mean(1), np.partition(gap, int(.95 * gap.shape[1]), 1)[:, int(.95 * gap.shape[1])],
                      gap.max(1)))
    return Distances(*map(np.concatenate, zip(*parts)))


def _chunks(count: int) -> Iterator[slice]:
    return (slice(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK))


# -- the person's own body --------------------------------------------------------------------------------------------
def _by_edges(sample: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints at rest of the body, of any size, whose edges are as long as the person's: poses hardly
    change those but at the joints, which are believed less."""
    a, b = body.faces[:, 0], body.faces[:, 1]
    seen = np.median(np.linalg.norm(sample[:, a] - sample[:, b], axis=2), axis=0)
    basis = np.concatenate([body.v_template[None], body.shapedirs])
    edges = (basis[:, a] - basis[:, b]).astype(float)
    found = np.zeros(len(basis))
    found[0] = seen.sum() / np.linalg.norm(edges[0], axis=1).sum()
    for _ in range(6):
        edge = np.tensordot(found, edges, 1)
        length = np.maximum(np.linalg.norm(edge, axis=1), 1e-6)
        slope = np.einsum("kec,ec->ke", edges, edge / length[:, None])
        gap = seen - length
        weighted = slope / (np.abs(gap) + 2e-4)
        held = np.diag(np.einsum("ke,ke->k", weighted, slope)) * [0, *[1e-3] * len(body.shapedirs)]
        found = found + np.linalg.solve(weighted @ slope.T + held, weighted @ gap - held @ found)
    joints = np.concatenate([body.J_template[None], body.J_shapedirs])
    return np.tensordot(found, basis, 1).astype(np.float32), np.tensordot(found, joints, 1)


def _fit_rest(rig: Rig, sample: np.ndarray) -> np.ndarray:
    """The rest vertices that, skinned, come nearest to the sample: three unknowns per vertex, all frames at once."""
    rotations, count = rig.rotations, len(sample)
    offsets = rig.places - np.einsum("nbij,bj->nbi", rotations, rig.joints)
    bones = np.argsort(-rig.weights, 1)[:, :4]
    weight = np.take_along_axis(rig.weights, bones, 1).astype(float)
    both = np.einsum("nbji,ncjk->bcik", rotations, rotations, optimize=True)  # sum of R_b^T R_c
    moved = np.einsum("nbji,ncj->bci", rotations, offsets, optimize=True)  # sum of R_b^T offset_c
    pair = np.einsum("va,vb->vab", weight, weight)
    at = bones[:, :, None], bones[:, None, :]
    lhs = np.einsum("vab,vabij->vij", pair, both[at])
    stacked = rotations.transpose(1, 3, 0, 2).reshape(-1, 3 * count).astype(np.float32)
    turned = (stacked @ sample.transpose(0, 2, 1).reshape(3 * count, -1)).reshape(-1, 3, len(rig.rest))
    rhs = np.einsum("va,vai->vi", weight, turned[bones, :, np.arange(len(bones))[:, None]])
    rhs -= np.einsum("vab,vabi->vi", pair, moved[at])
    return np.linalg.solve(lhs, rhs[..., None])[..., 0].astype(np.float32)


def shape_of(rig: Rig, body: Body) -> tuple[float, np.ndarray]:
    """Size and shape coefficients (K,) of the body in the shape space that lies nearest to the rig's mesh at rest."""
    found, _ = _shape(rig.rest, body)
    return float(found[0]), found[1:len(body.shapedirs) + 1] / found[0]


def _in_shape_space(rest: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """The body in the shape space, of any size, that lies nearest to `rest`: vertices and joints."""
    found, flat = _shape(rest, body)
    count = len(body.shapedirs)
    joints = found[0] * body.J_template + np.tensordot(found[1:count + 1], body.J_shapedirs, 1)
    return (found @ flat).reshape(rest.shape).astype(np.float32), joints + found[count + 1:]


def _shape(rest: np.ndarray, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Size, size x shape and place (K + 4,) of the body nearest to `rest`, and what they multiply (K + 4, 3V)."""
    count = len(body.shapedirs)
    basis = np.concatenate([body.v_template[None], body.shapedirs, np.zeros((3, *rest.shape))]).astype(float)
    for axis in range(3):
        basis[count + 1 + axis, :, axis] = 1.0
    flat = basis.reshape(len(basis), -1)
    found = np.linalg.solve(flat @ flat.T + 1e-6 * np.diag(np.square(flat).sum(1)), flat @ rest.ravel())
    return found, flat


def _fit_joints(rig: Rig, sample: np.ndarray, expected: np.ndarray) -> Rig:
    """The rig with the joints at rest that bring the sample nearest, held to those expected of the body's shape.

    Moving joint c by d moves a vertex by (R_parent - R_c) d times the weight of all bones from c on.
    """
    count, bones = len(sample), len(rig.parents)
    share = rig.weights.astype(float)
    for bone in range(bones - 1, 0, -1):
        share[:, rig.parents[bone]] += share[:, bone]
    lever = rig.rotations[:, rig.parents[1:]] - rig.rotations[:, 1:]
    rig = replace(rig, joints=expected)  # the rest of the equation is linear in the joints
    gap = (sample - rig.skin()).transpose(1, 0, 2).reshape(len(share), -1)
    seen = (share[:, 1:].T @ gap).reshape(bones - 1, count, 3)
    both = np.einsum("nbji,ncjk->bick", lever, lever, optimize=True)
    lhs = (both * (share[:, 1:].T @ share[:, 1:])[:, None, :, None]).reshape(3 * bones - 3, -1)
    lhs += PRIOR * count * np.eye(len(lhs))
    rhs = np.einsum("nbji,bnj->bi", lever, seen, optimize=True).ravel()
    joints = expected.copy()
    joints[1:] += np.linalg.solve(lhs, rhs).reshape(-1, 3)
    return replace(rig, joints=joints)


def _lower_arms(rig: Rig) -> Rig:
    """The same motion from an A-pose: arms 45 degrees below the horizon. The rest mesh is left to be fitted."""
    turn = np.tile(np.eye(3), (len(rig.parents), 1, 1))
    for shoulder, elbow in ((16, 18), (17, 19)):
        arm = rig.joints[elbow] - rig.joints[shoulder]
        angle = -np.pi / 4 - np.arctan2(arm[1], abs(arm[0]))
        angle *= np.sign(arm[0])
        turn[shoulder, :2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for bone, parent in enumerate(rig.parents):
        if parent >= 16:
            turn[bone] = turn[parent]
    joints = pose_joints(turn[None], rig.joints[None], rig.parents)[0]
    return replace(rig, joints=joints, rotations=rig.rotations @ turn.transpose(0, 2, 1))


# -- poses ------------------------------------------------------------------------------------------------------------
def _pose(rig: Rig, vertices: np.ndarray) -> Rig:
    """The rig with the motion that brings its skinned mesh nearest to `vertices` (N, 6890, 3)."""
    bones, weights = len(rig.parents), rig.weights.astype(np.float32)
    # per bone: weight x rest position, and the weight itself
    rows = np.concatenate([weights[:, :, None] * rig.rest[:, None], weights[:, :, None]], 2).reshape(len(weights), -1)
    to_m = _moments(rig)
    gram = rows.astype(float).T @ rows
    quadratic = to_m @ gram @ to_m.T
    total = gram.reshape(bones, 4, bones, 4)[:, 3].sum(1)  # (B, 4): sum of w v, sum of w
    rotations, pelvis = [], []
    for part in _chunks(len(vertices)):
        given = np.asarray(vertices[part], np.float32)
        if not np.isfinite(given).all():
            raise ExportError("The mesh has vertices without a place.", "Animate the footage again.")
        centre = given.mean(1, keepdims=True)  # float32 keeps its digits near 0
        seen = (rows.T @ (given - centre).transpose(1, 0, 2).reshape(len(rows), -1)).astype(float)
        seen = seen.reshape(len(seen), -1, 3).transpose(1, 0, 2)  # (n, 4B, 3)
        parts = seen.reshape(len(seen), bones, 4, 3)
        spread = parts[:, :, :3] - np.einsum("bi,nbj->nbij", total[:, :3] / total[:, 3:], parts[:, :, 3])
        found = _refine(nearest_rotation(spread.swapaxes(-1, -2)), quadratic, to_m @ seen)
        rotations.append(found[0])
        pelvis.append(found[1] + centre[:, 0])
    return replace(rig, rotations=np.concatenate(rotations), pelvis=np.concatenate(pelvis))


def _moments(rig: Rig) -> np.ndarray:
    """(3B + 1, 4B): from per-bone (weight x rest, weight) to m_b = w_b (v - J_b) + what hangs below b; last row: 1."""
    bones = len(rig.parents)
    below = np.eye(bones, dtype=bool)
    for bone in range(bones - 1, 0, -1):
        below[rig.parents[bone]] |= below[bone]
    out = np.zeros((bones, 3, bones, 4))
    for bone in range(bones):
        out[bone, :, bone, :3] = np.eye(3)
        out[bone, :, bone, 3] = -rig.joints[bone]
        for child in np.flatnonzero(rig.parents == bone):
            out[bone, :, below[child], 3] += rig.joints[child] - rig.joints[bone]
    whole = np.tile([0.0, 0, 0, 1], bones)
    return np.concatenate([out.reshape(3 * bones, -1), whole[None]])


def _refine(rotations: np.ndarray, quadratic: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton on all rotations (n, B, 3, 3) and the root; quadratic (3B+1, 3B+1), linear (n, 3B+1, 3).

    Returns rotations and root positions (n, 3).
    """
    count, bones = rotations.shape[:2]
    root = (linear[:, -1] - np.einsum("k,nkj->nj", quadratic[-1, :-1],
                                      rotations.swapaxes(-1, -2).reshape(count, -1, 3))) / quadratic[-1, -1]
    blocks = quadratic[:-1, :-1].reshape(bones, 3, bones, 3)
    # d v' = R_b (w x m): the second derivative is a fixed linear map of R_b^T R_c
    table = np.einsum("bicj,ipk,jql->bcpqkl", blocks, _CROSS, _CROSS, optimize=True).reshape(bones * bones, 9, 9)
    first = np.einsum("ikl,bi->bkl", _CROSS, quadratic[-1, :-1].reshape(bones, 3))
    size = 3 * bones + 3
    for _ in range(STEPS):
        theta = np.concatenate([rotations.swapaxes(-1, -2).reshape(count, -1, 3), root[:, None]], 1)
        residual = quadratic @ theta - linear  # sum of m r^T
        turned = residual[:, :-1].reshape(count, bones, 3, 3) @ rotations
        gradient = np.empty((count, size))
        gradient[:, :-3] = np.einsum("ikj,nbij->nbk", _CROSS, turned).reshape(count, -1)
        gradient[:, -3:] = residual[:, -1]
        relative = np.einsum("nbji,ncjk->bcnik", rotations, rotations, optimize=True).reshape(-1, count, 9)
        hessian = np.empty((count, size, size))
        hessian[:, :-3, :-3] = (relative @ table).reshape(bones, bones, count, 3, 3).transpose(
            2, 0, 3, 1, 4).reshape(count, size - 3, size - 3)
        cross = np.einsum("bkl,nbml->nbkm", first, rotations).reshape(count, -1, 3)
        hessian[:, :-3, -3:], hessian[:, -3:, :-3] = cross, cross.swapaxes(1, 2)
        hessian[:, -3:, -3:] = quadratic[-1, -1] * np.eye(3)
        diagonal = np.einsum("nii->ni", hessian)
        diagonal += 1e-4 * diagonal + 1e-9
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        rotations = rotations @ rotation_of(step[:, :-3].reshape(count, bones, 3))
        root = root + step[:, -3:]
    return rotations, root


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """(..., 3, 3) -> the rotations nearest to them."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[..., None]
    return u @ vt


def rotation_of(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) -> matrices (..., 3, 3)."""
    angle = np.linalg.norm(vectors, axis=-1)[..., None, None]
    safe = np.maximum(angle, 1e-12)
    k = np.einsum("...i,ikl->...kl", vectors, _CROSS) / safe
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)
