"""Reads a user's own SMPL body file (.pkl or .npz) without running anything in it. No `bpy` module use.

The official files are Python 2 pickles with chumpy and scipy objects. Neither package is needed: stand-in classes take
their place, and every other class or function that a pickle asks for is refused, so a foreign pickle cannot run code.
The model's own licence stays the user's affair; nothing of the file is copied into what we ship.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .body import Body, Regressor, load_body
from .errors import BodyFileError

NEEDED = ("v_template", "f", "J_regressor", "weights", "kintree_table", "shapedirs", "posedirs")
CURE = "Choose an SMPL body file as its makers publish it: SMPL_NEUTRAL.pkl, SMPL_MALE.pkl, SMPL_FEMALE.pkl or .npz."
LARGEST = 1 << 30  # bytes; the official files have 40 to 250 MB


@dataclass(frozen=True)
class SmplModel:
    """The arrays of an SMPL file, float64. y up, +z forward, +x the body's left, metres, T-pose."""

    v_template: np.ndarray  # (6890, 3)
    shapedirs: np.ndarray  # (6890, 3, K)
    posedirs: np.ndarray  # (6890, 3, 207)
    J_regressor: np.ndarray  # (24, 6890)
    weights: np.ndarray  # (6890, 24)
    parents: np.ndarray  # (24,), root -1
    faces: np.ndarray  # (13776, 3) int


def read_smpl(path: Path | str) -> SmplModel:
    """Reads and checks an SMPL .pkl or .npz. Raises BodyFileError, naming the file and the cure, for anything else."""
    path = Path(path)
    try:
        size = path.stat().st_size
        content = path.read_bytes() if 0 < size <= LARGEST else b""
    except FileNotFoundError:
        raise BodyFileError(f"There is no file {path}.", CURE) from None
    except OSError as error:
        raise BodyFileError(f"{path} cannot be read ({error.strerror}).", CURE) from None
    if not size:
        raise BodyFileError(f"{path} is empty.", CURE)
    if not content:
        raise BodyFileError(f"{path} is too large for a body file.", CURE)
    arrays = _read_npz(path, content) if zipfile.is_zipfile(io.BytesIO(content)) else _read_pickle(path, content)
    return _checked(path, arrays)


def smpl_vertices(
    model: SmplModel, pose: np.ndarray, shape: np.ndarray, translation: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """SMPL's skinning with its pose blend shapes.

    pose (N, 24, 3): rotation vectors relative to the parent, root first; shape (N, k) with k <= K;
    translation (N, 3) in metres. Returns vertices (N, 6890, 3) and joints (N, 24, 3), metres, the model's axes.
    """
    count = shape.shape[1]
    rest = model.v_template + np.einsum("vck,nk->nvc", model.shapedirs[..., :count], shape)
    joints = np.einsum("jv,nvc->njc", model.J_regressor, rest, optimize=True)
    local = rotation_matrices(pose)
    features = (local[:, 1:] - np.eye(3)).reshape(len(pose), -1)  # 207 = 23 joints x 9
    rest = rest + (features @ model.posedirs.reshape(-1, features.shape[1]).T).reshape(rest.shape)

    turned, posed = local.copy(), joints.copy()
    for joint in range(1, 24):
        parent = model.parents[joint]
        turned[:, joint] = turned[:, parent] @ local[:, joint]
        bone = joints[:, joint] - joints[:, parent]
        posed[:, joint] = posed[:, parent] + np.einsum("nab,nb->na", turned[:, parent], bone)
    offset = posed - np.einsum("njab,njb->nja", turned, joints)
    blend = np.concatenate([turned, offset[..., None]], -1).reshape(len(pose), 24, 12)
    blend = (model.weights @ blend).reshape(len(pose), -1, 3, 4)
    vertices = np.einsum("nvab,nvb->nva", blend[..., :3], rest) + blend[..., 3]
    if translation is not None:
        vertices, posed = vertices + translation[:, None], posed + translation[:, None]
    return vertices, posed


def smpl_to_body(model: SmplModel, components: int = 16) -> Body:
    """The file's surface, shape space, joints and weights as a `Body`; at most `components` shape components.

    Left-right map, UV layout and the coco17, h36m17 and feet6 regressors are those of the embedded body, which has the
    same connectivity. smpl24 is the file's own regressor. Pose blend shapes are not part of a `Body`.
    """
    embedded = load_body()
    directions = np.ascontiguousarray(np.moveaxis(model.shapedirs[..., :components], -1, 0))
    joint, vertex = np.nonzero(model.J_regressor)
    values = model.J_regressor[joint, vertex].astype(np.float32)
    smpl24 = Regressor(np.searchsorted(joint, np.arange(25)), vertex, values)
    return Body(
        v_template=model.v_template.astype(np.float32),
        shapedirs=directions.astype(np.float32),
        J_template=(model.J_regressor @ model.v_template).astype(np.float32),
        J_shapedirs=(model.J_regressor @ directions).astype(np.float32),
        parents=model.parents,
        weights=model.weights.astype(np.float32),
        faces=embedded.faces,
        vt=embedded.vt,
        ft=embedded.ft,
        mirror=embedded.mirror,
        regressors=embedded.regressors | {"smpl24": smpl24},
    )


def rotation_matrices(rotvec: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) in radians -> matrices (..., 3, 3)."""
    angle = np.linalg.norm(rotvec, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(rotvec / np.maximum(angle, 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*rotvec.shape, 3)
    angle = angle[..., None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


class _StandIn:
    """Takes the place of a chumpy or scipy object: holds its state and does nothing."""

    state: ClassVar[dict] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Whatever a pickle passes is ignored."""

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state if isinstance(state, dict) else {}


class _Chumpy(_StandIn):
    def array(self) -> np.ndarray:
        state = self.state
        if "x" in state:  # chumpy.ch.Ch
            return np.asarray(_plain(state["x"]))
        if "a" in state and "idxs" in state:  # chumpy.reordering.Select
            picked = np.asarray(_plain(state["a"])).ravel()[np.asarray(state["idxs"], np.int64)]
            shape = state.get("preferred_shape")
            return picked if shape is None else picked.reshape(shape)
        raise ValueError("a chumpy expression where numbers are expected")


class _Sparse(_StandIn):
    def array(self) -> np.ndarray:
        """The dense array of a compressed-column or compressed-row matrix."""
        state = self.state
        rows, columns = (int(n) for n in state["_shape" if "_shape" in state else "shape"])
        if rows * columns > 100_000_000:
            raise ValueError("a sparse matrix of unreasonable size")
        data, indices, indptr = (np.asarray(state[k]) for k in ("data", "indices", "indptr"))
        by_column = len(indptr) == columns + 1 if state.get("format") is None else state["format"] == "csc"
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        dense = np.zeros((rows, columns))
        np.add.at(dense, (indices, major) if by_column else (major, indices), data)
        return dense


# Harmless by themselves, and all that Python 2's protocol needs for plain objects.
_PLAIN = {
    ("builtins", "set"), ("builtins", "object"), ("__builtin__", "set"), ("__builtin__", "object"),
    ("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"), ("collections", "OrderedDict"),
    ("_codecs", "encode"),
}  # fmt: skip


class RefusedPickle(Exception):
    """A pickle asked for something that no file of numbers needs."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "chumpy":
            return _Chumpy
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix", "csc_array", "csr_array"):
            return _Sparse
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in ("_reconstruct", "scalar"):
            return super().find_class(_multiarray(), name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        raise RefusedPickle(f"{module}.{name}")


def restricted_unpickle(content: bytes) -> Any:
    """The tables, texts, numbers and arrays of a pickle, Python 2's too. Raises RefusedPickle for one that asks for any
    other class or function, and nearly anything for damaged bytes."""
    return _Reader(io.BytesIO(content), encoding="latin1").load()


def _multiarray() -> str:
    return "numpy._core.multiarray" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core.multiarray"


def _plain(value: Any) -> Any:
    return value.array() if isinstance(value, _Chumpy | _Sparse) else value


def _read_pickle(path: Path, content: bytes) -> dict[str, Any]:
    try:
        raw = restricted_unpickle(content)
    except RefusedPickle as error:
        raise BodyFileError(
            f"{path} was not loaded: it asks to run {error}, which no SMPL body file does.",
            f"{CURE} Do not trust this file.",
        ) from None
    except Exception as error:  # damaged bytes make the unpickler raise nearly anything
        raise BodyFileError(f"{path} is not an SMPL body file ({type(error).__name__}).", CURE) from None
    if not isinstance(raw, dict):
        raise BodyFileError(f"{path} is not an SMPL body file (it holds no table of arrays).", CURE)
    arrays = {}
    for key in NEEDED:
        if key in raw:
            try:
                arrays[key] = _plain(raw[key])
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise BodyFileError(f"{path}: {key} cannot be read ({error}).", CURE) from None
    return arrays


def _read_npz(path: Path, content: bytes) -> dict[str, Any]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {key: archive[key] for key in NEEDED if key in archive.files}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise BodyFileError(f"{path} is not an SMPL body file ({error}).", CURE) from None


def _checked(path: Path, arrays: dict[str, Any]) -> SmplModel:
    if missing := [key for key in NEEDED if key not in arrays]:
        raise BodyFileError(f"{path} is not an SMPL body file: it has no {', '.join(missing)}.", CURE)
    try:
        numbers = {key: np.asarray(arrays[key]).astype(np.float64) for key in NEEDED}
    except (TypeError, ValueError):
        raise BodyFileError(f"{path} is not an SMPL body file: some of its arrays hold no numbers.", CURE) from None
    template = numbers["v_template"]
    if template.shape in ((10475, 3), (778, 3), (5023, 3)):
        other = {10475: "SMPL-X", 778: "MANO", 5023: "FLAME"}[len(template)]
        raise BodyFileError(f"{path} is a body file of {other}, which has another connectivity than SMPL.", CURE)
    wanted: dict[str, tuple[int | None, ...]] = {
        "v_template": (6890, 3), "f": (13776, 3), "J_regressor": (24, 6890), "weights": (6890, 24),
        "kintree_table": (2, 24), "shapedirs": (6890, 3, None), "posedirs": (6890, 3, 207),
    }  # fmt: skip
    for key, shape in wanted.items():
        got = numbers[key].shape
        if len(got) != len(shape) or any(w is not None and w != g for w, g in zip(shape, got)):
            expected = " x ".join("k" if n is None else str(n) for n in shape)
            raise BodyFileError(f"{path}: {key} is {' x '.join(map(str, got))}, not {expected}.", CURE)
        if not np.isfinite(numbers[key]).all():
            raise BodyFileError(f"{path}: {key} holds values that are no numbers.", CURE)
    if numbers["shapedirs"].shape[2] == 0:
        raise BodyFileError(f"{path}: it has no shape components.", CURE)
    parents = numbers["kintree_table"][0].astype(np.int64)
    parents[0] = -1  # stored as 2**32 - 1
    if not all(0 <= parents[j] < j for j in range(1, 24)):
        raise BodyFileError(f"{path}: its joints do not form a tree.", CURE)
    faces = numbers["f"].astype(np.int64)
    if not np.array_equal(_sorted_faces(faces), _sorted_faces(load_body().faces)):
        raise BodyFileError(f"{path}: its triangles are not SMPL's.", CURE)
    if np.abs(numbers["weights"].sum(1) - 1).max() > 1e-3:
        raise BodyFileError(f"{path}: its skinning weights do not sum to one.", CURE)
    return SmplModel(
        v_template=template, shapedirs=numbers["shapedirs"], posedirs=numbers["posedirs"],
        J_regressor=numbers["J_regressor"], weights=numbers["weights"], parents=parents, faces=faces,
    )  # fmt: skip


def _sorted_faces(faces: np.ndarray) -> np.ndarray:
    triples = np.sort(faces, 1)
    return triples[np.lexsort(triples.T[::-1])]
