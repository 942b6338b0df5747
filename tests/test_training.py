"""Synthetic data, losses, pyramid, resumable training and export."""
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.placement import fit_translation
from pose2mesh_blender.training.detector_noise import detect
from pose2mesh_blender.training.metrics import procrustes_align, procrustes_error
from pose2mesh_blender.training.sequences import SequenceSampler
from pose2mesh_blender.training.synthetic import HELD_OUT, Motion, axis_angle_to_matrix, load_motion


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Made-up poses: enough to run every step without mocap data."""
    rng = np.random.default_rng(0)
    local = axis_angle_to_matrix((rng.normal(size=(64, 24, 3)) * .25).astype(np.float32))
    return Motion(local, np.zeros(64, int), np.arange(64))


def test_clean_samples_are_exact_projections(motion: Motion) -> None:
    takes = SequenceSampler(embedded_body(), motion, 1).batch(40, 1, clean=1.0)
    joints = takes.joints[:, 0]
    assert np.abs(joints[:, 0]).max() < 1e-6
    # Seen from the right place, the joints fall on the keypoints (the box centre is nearly the optical axis).
    points, rays = joints[:, J.BODY], takes.view.points * np.exp(takes.view.log_size)[:, None, None]
    seen = points + fit_translation(points, rays, np.ones((40, 23)))[:, None]
    assert np.abs(seen[..., :2] / seen[..., 2:] - rays).max() < .05 * np.ptp(rays)


def test_noisy_samples_are_finite_and_partly_absent(motion: Motion) -> None:
    takes = SequenceSampler(embedded_body(), motion, 2).batch(500, 1)
    assert np.isfinite(takes.view.points).all() and np.isfinite(takes.joints).all()
    present = takes.view.confidence > 0
    assert .4 < present.mean() < .95 and (present.sum(1) >= 4).all()
    assert 0 < takes.definition.mean() < 1


def test_held_out_subjects_are_apart(shared: Path) -> None:
    path = shared / "mocap" / "mesh2motion_cc0_smpl24_30fps.npz"
    train = load_motion([path], embedded_body(), held_out=False)
    assert len(train.local) == 1764
    names = ["cmu_05_06", "cmu_salsa_21", "cmu_06_01", "cmu_139_2", "cmu_13_29", "cmu_49_01"]
    assert [bool(re.match(HELD_OUT, n)) for n in names] == [True, True, False, True, True, False]


def test_procrustes() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(6, 17, 3))
    moved = 1.7 * truth @ axis_angle_to_matrix(rng.normal(size=(6, 3))) + 3
    np.testing.assert_allclose(procrustes_align(moved, truth), truth, atol=1e-9)
    assert procrustes_error(truth * [-1, 1, 1], truth).mean() > .1, "a mirror image is no match"


def test_pyramid() -> None:
    pytest.importorskip("torch")
    from pose2mesh_blender.training.pyramid import build_pyramid

    levels = build_pyramid(embedded_body().faces)
    sizes = [len(level.laplacian.indptr) - 1 for level in levels]
    assert sizes[-1] == 6890 and levels[0].parents is None
    for coarse, fine in zip(sizes, levels[1:]):
        counts = np.bincount(fine.parents, minlength=coarse)
        assert counts.min() >= 1 and counts.max() <= 2
    import scipy.sparse as sp

    first = levels[0].laplacian
    dense = sp.csr_matrix((first.data, first.indices, first.indptr)).toarray()
    np.testing.assert_allclose(dense, dense.T, atol=1e-6)
    eigenvalues = np.linalg.eigvalsh(dense)
    assert eigenvalues.min() >= -1.001 and eigenvalues.max() <= 1.001


def test_losses_vanish_at_the_truth_and_survive_a_collapse() -> None:
    torch = pytest.importorskip("torch")
    from pose2mesh_blender.training.losses import MeshLoss

    body = embedded_body()
    truth = torch.from_numpy(body.v_template)[None]
    criterion = MeshLoss(body)
    parts = criterion(truth, truth)
    assert max(parts[k] for k in ("vertex", "joint", "edge")) < 1e-6 and parts["normal"] < 1e-3
    collapsed = torch.zeros_like(truth, requires_grad=True)
    criterion(collapsed, truth)["total"].backward()
    assert torch.isfinite(collapsed.grad).all()


def test_takes_are_seen_as_they_move(motion: Motion) -> None:
    """Exact takes: keypoints are projections of what moves, and nobody jumps between frames."""
    takes = SequenceSampler(embedded_body(), motion, 1).batch(6, 20, clean=1.0, rate=30.0)
    assert takes.joints.shape == (6, 20, 71, 3) and (takes.confidence == 1).all()
    turn = takes.view.rotation.reshape(6, 20, 3, 3)
    seen = J.detector_points(takes.joints @ turn.transpose(0, 1, 3, 2), 0.0) + takes.root[:, :, None]
    np.testing.assert_allclose(seen[..., :2] / seen[..., 2:], takes.rays, atol=1e-4)
    assert takes.path.shape == (6, 20, 3) and (takes.path[..., 2] == 1).all()


def test_point_skinner_agrees_with_the_whole_body(motion: Motion) -> None:
    body = embedded_body()
    takes = SequenceSampler(body, motion, 3).batch(4, 3, clean=1.0)
    for rotations, shape, joints in zip(takes.rotations, takes.shape, takes.joints):
        vertices, skeleton = body.pose(rotations, np.tile(shape, (3, 1)))
        np.testing.assert_allclose(joints, J.lift_points(vertices, skeleton, body), atol=1e-4)


def test_detector_noise_lasts_and_leaves_joints_out(motion: Motion) -> None:
    sampler = SequenceSampler(embedded_body(), motion, 4)
    takes = sampler.batch(200, 24, rate=30.0, hardest=1.0)
    present = takes.confidence > 0
    assert np.isfinite(takes.rays).all() and .6 < present.mean() < .95
    bundled = takes.definition == 1
    assert not present[bundled][..., [18, 21]].any(), "the bundled detectors have no small toes"
    # Two frames of a still scene are more alike than two takes of it: the error has a memory.
    rng = np.random.default_rng(0)
    rays = np.tile(takes.rays[:1, :1], (300, 24, 1, 1))
    times, nothing = takes.times[:1].repeat(300, 0), np.zeros(rays.shape[:3], bool)
    still, _ = detect(rays, nothing, np.ones(300, bool), times, rng, 1.0)
    error = np.clip(still - rays, -.05, .05)[..., 9, 0]
    alike, apart = (np.corrcoef(*pair)[0, 1] for pair in (error[:, 5:7].T, (error[:150, 5], error[150:, 5])))
    assert alike > .3 > apart


def test_template_is_exact_on_true_points(motion: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed-form part alone finds rotations and shape from points of the body that it was fitted on."""
    torch = pytest.importorskip("torch")
    from pose2mesh_blender.training import fit_template
    from pose2mesh_blender.training.pyramid import new_meshnet
    from pose2mesh_blender.training.train_meshnet import true_mesh

    body = embedded_body()
    monkeypatch.setattr(fit_template, "SAMPLES", 1500)
    meshnet = new_meshnet(body)
    fit_template.fit_template(meshnet, body, motion)
    takes = SequenceSampler(body, motion, 9).batch(40, 1, clean=1.0)
    with torch.no_grad():
        found = meshnet.eval()(torch.from_numpy(takes.joints[:, 0]), torch.zeros(40, 16), torch.zeros(40, 1)).numpy()
    assert np.linalg.norm(found - true_mesh(takes, body), axis=-1).mean() < .008


def test_training_learns_resumes_and_exports(motion: Motion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                             request: pytest.FixtureRequest) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from pose2mesh_blender.core.network.engine import OnnxEngine
    from pose2mesh_blender.training import train_posenet as stage
    from pose2mesh_blender.training.export import export, load_lifter
    from pose2mesh_blender.training.pyramid import new_meshnet

    # A machine that is busy with other things learns no less: processor time, and no threads that wait for each other.
    monkeypatch.setattr(stage, "Run", partial(stage.Run, clock=time.process_time))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    monkeypatch.setattr(stage, "STILLS", 64)
    monkeypatch.setattr(stage, "IN_TAKES", 48)
    monkeypatch.setattr(stage, "LENGTHS", (4, 12))
    body = embedded_body()
    check = SequenceSampler(body, motion, 9).batch(20, 10, clean=1.0, rate=30.0)
    torch.manual_seed(0)
    before = stage.evaluate(stage.Lifter(stage.PoseNet(), stage.TemporalNet()), check)
    stage.train_posenet(body, motion, motion, tmp_path / "posenet", minutes=.4)
    posenet, temporal = load_lifter(tmp_path / "posenet")
    after = stage.evaluate(stage.Lifter(posenet, temporal), check)
    assert after[0] < .9 * before[0] and after[2] < .9 * before[2]
    again = stage.train_posenet(body, motion, motion, tmp_path / "posenet", minutes=.4)
    assert stage.evaluate(again, check)[:4] == pytest.approx(after[:4], rel=.01), "a finished run is not trained again"
    further = stage.train_posenet(body, motion, motion, tmp_path / "further", minutes=.02, start=(posenet, temporal))
    assert stage.evaluate(further, check)[0] < .9 * before[0], "a run that starts from weights does not begin anew"
    export(posenet, temporal, new_meshnet(body).eval(), body, tmp_path / "out")
    engine = OnnxEngine("cpu", tmp_path / "out")
    joints = check.joints[0, :3]
    mesh = engine.mesh(joints)
    assert mesh.vertices.shape == (3, 6890, 3) and np.isfinite(mesh.vertices).all()
