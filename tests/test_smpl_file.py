"""A user's own SMPL file: read without running anything in it, skinned like the reference implementation.

No official file may be shipped, so the tests write made-up ones of the official structure: a protocol-2 pickle with
chumpy and scipy objects, from the embedded body, random shape and pose directions.
"""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pytest

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.errors import BodyFileError
from pose2mesh_blender.core.smpl_file import read_smpl, smpl_to_body, smpl_vertices


class Ch:
    """As chumpy pickles its arrays: an instance with a dictionary that holds the numbers in `x`."""

    def __init__(self, x):
        self.x = x


class Select:
    """As chumpy pickles `array[indices]`."""

    def __init__(self, a, idxs, preferred_shape):
        self.a, self.idxs, self.preferred_shape = a, idxs, preferred_shape


class csc_matrix:
    """As old scipy pickles a compressed-column matrix."""

    def __init__(self, dense):
        column, row = np.nonzero(dense.T)
        self.format, self._shape, self.maxprint = "csc", dense.shape, 50
        self.data, self.indices = dense[row, column], row.astype(np.int32)
        self.indptr = np.searchsorted(column, np.arange(dense.shape[1] + 1)).astype(np.int32)


@pytest.fixture(scope="module")
def official():
    """The dictionary of an official file, with plain arrays."""
    rng, body = np.random.default_rng(0), load_body()
    regressor = np.zeros((24, 6890))
    rows = body.regressors["smpl24"]
    for joint in range(24):
        entries = slice(rows.indptr[joint], rows.indptr[joint + 1])
        regressor[joint, rows.indices[entries]] = rows.data[entries]
    tree = np.stack([body.parents, np.arange(24)]).astype(np.int64)
    tree[0, 0] = 2**32 - 1
    return {
        "v_template": body.v_template.astype(np.float64),
        "f": body.faces.astype(np.uint32),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": body.weights.astype(np.float64),
        "kintree_table": tree.astype(np.uint32),
        "shapedirs": np.moveaxis(body.shapedirs[:10], 0, -1).astype(np.float64),
        "posedirs": rng.normal(size=(6890, 3, 207)) * 1e-3,
    }


@pytest.fixture(scope="module")
def pkl(official, tmp_path_factory):
    """The file with the objects of the official one in it, pickled as those modules would."""
    names = {"chumpy.ch": Ch, "chumpy.reordering": Select, "scipy.sparse.csc": csc_matrix}
    saved = {name: sys.modules.get(name) for name in ("chumpy", *names)}
    sys.modules["chumpy"] = types.ModuleType("chumpy")
    for name, cls in names.items():
        cls.__module__ = name
        sys.modules[name] = types.ModuleType(name)
        setattr(sys.modules[name], cls.__name__, cls)
    directions = official["shapedirs"]
    wide = np.concatenate([directions, directions], -1)
    picked = np.arange(wide.size).reshape(wide.shape)[..., :10]
    content = official | {
        "v_template": Ch(official["v_template"]),
        "posedirs": Ch(official["posedirs"]),
        "J_regressor": csc_matrix(official["J_regressor"]),
        "shapedirs": Select(Ch(wide), picked.ravel(), directions.shape),
        "J": Ch(None),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    path = tmp_path_factory.mktemp("own bodies ü") / "SMPL_NEUTRAL.pkl"
    try:
        path.write_bytes(pickle.dumps(content, protocol=2))
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path


def assert_same(model, official):
    assert np.array_equal(model.v_template, official["v_template"])
    assert np.array_equal(model.shapedirs, official["shapedirs"])
    assert np.array_equal(model.posedirs, official["posedirs"])
    assert np.array_equal(model.J_regressor, official["J_regressor"])
    assert np.array_equal(model.weights, official["weights"])
    assert np.array_equal(model.faces, official["f"])
    assert model.parents.tolist() == load_body().parents.tolist()


def test_pickle_is_read_without_chumpy(pkl, official):
    assert_same(read_smpl(pkl), official)
    assert "chumpy" not in sys.modules


def test_pickle_of_todays_scipy_is_read(official, tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    path = tmp_path / "SMPL_MALE.pkl"
    path.write_bytes(pickle.dumps(official | {"J_regressor": sparse.csc_matrix(official["J_regressor"])}))
    assert_same(read_smpl(path), official)


def test_npz_is_read(official, tmp_path):
    path = tmp_path / "SMPL_FEMALE.npz"
    np.savez(path, **official, gender="female")
    assert_same(read_smpl(path), official)


def test_body_has_the_files_shape_and_joints(pkl, official):
    model = read_smpl(pkl)
    body = smpl_to_body(model)
    assert body.shapedirs.shape == (10, 6890, 3) and body.weights.shape == (6890, 24)
    assert np.abs(body.J_template - official["J_regressor"] @ official["v_template"]).max() < 1e-6
    assert np.abs(body.regress("smpl24", body.v_template) - body.J_template).max() < 1e-5
    shape = np.random.default_rng(1).normal(size=(2, 10))
    vertices, joints = body.pose(np.tile(np.eye(3), (2, 24, 1, 1)), shape)
    expected, expected_joints = smpl_vertices(model, np.zeros((2, 24, 3)), shape)
    assert np.abs(vertices - expected).max() < 1e-5 and np.abs(joints - expected_joints).max() < 1e-5


def test_skinning_equals_smplx(pkl, official):
    torch = pytest.importorskip("torch")
    smplx = pytest.importorskip("smplx")
    rng = np.random.default_rng(2)
    pose, shape = rng.normal(size=(3, 24, 3)) * 0.4, rng.normal(size=(3, 10))
    translation = rng.normal(size=(3, 3))
    reference = smplx.SMPL(
        str(pkl), data_struct=types.SimpleNamespace(**official), create_transl=False, num_betas=10, dtype=torch.float64
    )
    with torch.no_grad():
        output = reference(
            betas=torch.tensor(shape), global_orient=torch.tensor(pose[:, 0]),
            body_pose=torch.tensor(pose[:, 1:].reshape(3, -1)), transl=torch.tensor(translation),
        )  # fmt: skip
    vertices, joints = smpl_vertices(read_smpl(pkl), pose, shape, translation)
    assert np.abs(vertices - output.vertices.numpy()).max() < 1e-5
    assert np.abs(joints - output.joints.numpy()[:, :24]).max() < 1e-5


class RunsCode:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_a_foreign_pickle_is_refused_and_nothing_runs(tmp_path):
    path, mark = tmp_path / "SMPL_EVIL.pkl", tmp_path / "mark"
    calls = RunsCode(exec, f"open({str(mark)!r}, 'w')"), RunsCode(pickle.loads, b""), RunsCode(open, str(mark), "w")
    for call in calls:
        for protocol in (0, 2, 5):
            path.write_bytes(pickle.dumps({"v_template": call}, protocol=protocol))
            with pytest.raises(BodyFileError, match=r"SMPL_EVIL.pkl was not loaded: it asks to run .*Do not trust"):
                read_smpl(path)
    assert not mark.exists()
    # A dotted name must not reach an attribute of something allowed.
    path.write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.")
    with pytest.raises(BodyFileError, match="was not loaded"):
        read_smpl(path)


def damaged(official, key, value):
    return {k: v for k, v in (official | {key: value}).items() if v is not None}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("weights", None, "it has no weights"),
        ("v_template", np.zeros((10475, 3)), "SMPL-X"),
        ("v_template", np.zeros((778, 3)), "MANO"),
        ("v_template", np.zeros((12, 3)), "v_template is 12 x 3, not 6890 x 3"),
        ("v_template", np.full((6890, 3), np.nan), "no numbers"),
        ("shapedirs", np.zeros((6890, 3, 0)), "no shape components"),
        ("posedirs", np.zeros((6890, 3, 9)), "posedirs is 6890 x 3 x 9"),
        ("weights", np.zeros((6890, 24)), "sum to one"),
        ("f", np.zeros((13776, 3)), "triangles are not SMPL's"),
        ("kintree_table", np.full((2, 24), 23), "tree"),
        ("v_template", "text", "hold no numbers"),
    ],
)
def test_wrong_content_is_named(official, tmp_path, key, value, message):
    path = tmp_path / "SMPL_ODD.pkl"
    path.write_bytes(pickle.dumps(damaged(official, key, value)))
    with pytest.raises(BodyFileError, match=rf"SMPL_ODD.pkl.*{message}.*Choose an SMPL body file"):
        read_smpl(path)


def test_unreadable_files_are_named(official, tmp_path):
    with pytest.raises(BodyFileError, match=r"There is no file .*nothing.pkl"):
        read_smpl(tmp_path / "nothing.pkl")
    with pytest.raises(BodyFileError, match="cannot be read"):
        read_smpl(tmp_path)
    whole = pickle.dumps({"v_template": official["v_template"]})
    for name, content in {"empty": b"", "text": b"v 0 0 0\n" * 9, "cut": whole[:-9], "list": pickle.dumps([1])}.items():
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(content)
        with pytest.raises(BodyFileError, match=rf"{name}.pkl is .*Choose an SMPL body file"):
            read_smpl(path)
    path = tmp_path / "objects.npz"
    np.savez(path, **(official | {"weights": np.array([{}], object)}))
    with pytest.raises(BodyFileError, match=r"objects.npz is not an SMPL body file"):
        read_smpl(path)
