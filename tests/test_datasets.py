"""Training data in the official formats of datasets, made here: every loader gives back what was posed."""
from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy.io import savemat
from scipy.spatial.transform import Rotation

from pose2mesh_blender.core.body import Body, embedded_body
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.placement import fit_translation
from pose2mesh_blender.core.skeletons import BODY23, H36M17
from pose2mesh_blender.training.datasets import DataError, amass, load, merged, muco, parse, pw3d
from pose2mesh_blender.training.datasets.pairs import Pairs, PairSampler, ShapeMatch
from pose2mesh_blender.training.datasets.record import chosen_for_test
from pose2mesh_blender.training.sequences import PointSkinner, SequenceSampler
from pose2mesh_blender.training.synthetic import SMPL_FLIP, global_rotations

Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)  # y up -> z up
K = np.array([[1100, 0, 500], [0, 1100, 500], [0, 0, 1.0]])


@dataclass
class Person:
    """What the tests pose: SMPL parameters in a world, and where the body then is."""

    poses: np.ndarray  # (F, 72)
    trans: np.ndarray  # (F, 3)
    betas: np.ndarray  # (10,)
    points: np.ndarray  # (F, 71, 3) world, metres
    smpl24: np.ndarray  # (F, 24, 3) world


def posed(body: Body, frames: int, up: np.ndarray, seed: int = 0) -> Person:
    """A person who turns and moves limbs; up: (3, 3) from a y-up world to the dataset's."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / 30
    vectors = .5 * np.sin(t * rng.uniform(1, 3, (1, 24, 3)) + rng.uniform(0, 6, (1, 24, 3)))
    vectors[:, [3, 6, 9, 12]] *= .3
    yaw = Rotation.from_euler("y", 1 + 1.5 * t[:, 0])
    vectors[:, 0] = (Rotation.from_matrix(up) * yaw).as_rotvec()
    trans = np.stack([t[:, 0, 0], .1 + 0 * t[:, 0, 0], .3 * t[:, 0, 0]], 1) @ up.T
    betas = rng.normal(0, .7, 10)
    local = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    shape = np.tile(np.pad(betas, (0, len(body.shapedirs) - 10)), (frames, 1))
    vertices, joints = body.pose(global_rotations(local), shape)
    h36m = body.regress("h36m17", vertices)[:, :1]
    points = J.lift_points(vertices, joints, body) + h36m
    return Person(vectors.reshape(frames, 72), trans, betas, points + trans[:, None], joints + trans[:, None])


def looking(up: np.ndarray, yaw: float, distance: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """A level camera: x_camera = R x + t."""
    r = np.diag([1, -1, -1.0]) @ Rotation.from_euler("y", yaw).as_matrix() @ up.T
    return r, np.array([0, .2, distance])


def project(points: np.ndarray) -> np.ndarray:
    return points[..., :2] / points[..., 2:] * np.diag(K)[:2] + K[:2, 2]


def expect_points(pairs: Pairs, points: np.ndarray, body: Body) -> None:
    """The pairs' bodies are where the posed ones were, root-relative in the camera."""
    made = PointSkinner(body)(global_rotations(pairs.local)[:, None], pairs.shape)[:, 0]
    np.testing.assert_allclose(made - made[:, :1], points - points[:, :1], atol=2e-3)


def expect_batches(pairs: Pairs, body: Body, tolerance: float) -> None:
    """Training batches: every picture is kept, and the points lie on the keypoints that the network sees."""
    found = replace(pairs, exact=np.zeros(len(pairs), bool))  # as if a detector had found them: no noise is added
    sampler = PairSampler(body, found, 1)
    assert len(sampler) == len(pairs)
    inputs, points, shape = sampler.batch(64)
    assert inputs.shape == (64, 71) and shape.shape == (64, len(body.shapedirs)) and points.dtype == np.float32
    assert np.isfinite(inputs).all() and np.isfinite(points).all()
    keypoints = inputs[:, :69].reshape(-1, 23, 3).astype(float)
    size = np.exp(inputs[:, 69] * .6 - 1.6)[:, None, None]
    rays, there = keypoints[..., :2] * size, keypoints[..., 2] > .05
    root = fit_translation(points[:, J.BODY], rays, there.astype(float))
    seen = points[:, J.BODY] + root[:, None]
    miss = np.linalg.norm(seen[..., :2] / seen[..., 2:] - rays, axis=-1) / size[..., 0]
    assert np.median(miss[there]) < tolerance
    noisy = PairSampler(body, pairs, 1).batch(64)[0]
    assert np.isfinite(noisy).all() and bool(np.abs(noisy - inputs).max() > .05) == pairs.exact.any()


# -- AMASS ------------------------------------------------------------------------------------------------------------
def write_amass(file: Path, person: Person, fps: float, kind: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fingers = np.random.default_rng(1).normal(size=(len(person.poses), 99))
    body = person.poses[:, :66]
    content: dict = {"trans": person.trans, "betas": np.pad(person.betas, (0, 6)), "gender": np.array("female")}
    if kind == "smplh":
        content |= {"poses": np.hstack([body, fingers[:, :90]]), "mocap_framerate": np.array(fps),
                    "dmpls": np.zeros((len(body), 8))}
    elif kind == "smplx":
        content |= {"poses": np.hstack([body, fingers]), "mocap_frame_rate": np.array(fps),
                    "surface_model_type": np.array("smplx"), "markers_latent_vids": np.array({"a": 1}, object)}
    else:
        content |= {"root_orient": body[:, :3], "pose_body": body[:, 3:], "mocap_frame_rate": np.array(fps)}
    np.savez(file, **content)


@pytest.mark.parametrize(("kind", "fps"), [("smplh", 120.0), ("smplx", 60.0), ("parts", 30.0)])
def test_amass(tmp_path: Path, kind: str, fps: float) -> None:
    body, step = embedded_body(), round(fps / 30)
    person = posed(body, 40 * step, Z_UP)
    write_amass(tmp_path / "KIT" / "3" / "walk_poses.npz", person, fps, kind)
    write_amass(tmp_path / "CMU" / "05" / "05_01_poses.npz", person, fps, kind)
    np.savez(tmp_path / "KIT" / "3" / "shape.npz", betas=np.zeros(16), gender=np.array("male"))
    data = load([parse(f"amass:{tmp_path}")], body, body)
    assert data.pairs is None and data.train is not None and data.test is not None
    for motion in (data.train, data.test):  # CMU's subject 05 is one of the benchmark's
        assert len(motion.local) == 40 and motion.fps == 30
        wanted = Rotation.from_rotvec(person.poses[::step].reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
        wanted[:, 0] = Z_UP.T @ wanted[:, 0]
        np.testing.assert_allclose(motion.local[:, :22], wanted[:, :22], atol=1e-5)
        np.testing.assert_allclose(motion.local[:, 22:], np.tile(np.eye(3), (40, 2, 1, 1)), atol=1e-6)
        np.testing.assert_allclose(motion.root, person.trans[::step] @ Z_UP, atol=1e-5)


def test_amass_at_a_rate_that_30_does_not_divide(tmp_path: Path) -> None:
    body = embedded_body()
    person = posed(body, 101, Z_UP)
    write_amass(tmp_path / "a_poses.npz", person, 100.0, "smplh")
    (clip,) = amass.clips(tmp_path)
    motion = load([parse(f"amass:{tmp_path}")], body, body).train
    assert motion is not None and len(motion.local) == 31
    for frame, before in ((1, 3), (2, 6)):  # a thirtieth lies a third of the way to the next hundredth, two two thirds
        a, b = (Rotation.from_matrix(clip.local[before + i]) for i in (0, 1))
        share = frame * 100 / 30 - before
        between = a * Rotation.from_rotvec((a.inv() * b).as_rotvec() * share)
        np.testing.assert_allclose(motion.local[frame], between.as_matrix(), atol=1e-4)


def test_the_samplers_draw_from_it_mixed_with_other_motion(tmp_path: Path) -> None:
    body = embedded_body()
    write_amass(tmp_path / "a_poses.npz", posed(body, 120, Z_UP), 60.0, "smplh")
    loaded = load([parse(f"amass:{tmp_path}")], body, None).train
    both = merged([loaded, None, loaded], body)
    assert both is not None and len(both.local) == 120 and len(np.unique(both.clip)) == 2
    takes = SequenceSampler(body, both, 0).batch(4, 8)
    assert takes.joints.shape == (4, 8, 71, 3) and np.isfinite(takes.joints).all()


# -- Human3.6M --------------------------------------------------------------------------------------------------------
def write_h36m(folder: Path, person: Person, subject: int, fit: str, first: int = 0) -> list[np.ndarray]:
    """Every 5th frame of 50 a second; returns the points in each camera."""
    cameras = [looking(Z_UP, yaw) for yaw in (.4, 2.0)]
    frames = [str(first + 5 * i) for i in range(len(person.poses))]
    joints = {"2": {"1": {f: (p[J.H36M] * 1000).tolist() for f, p in zip(frames, person.points)}}}
    fits = {"2": {"1": {f: {"pose": pose.tolist(), "shape": person.betas.tolist(), "trans": trans.tolist()}
                        for f, pose, trans in zip(frames, person.poses, person.trans)}}}
    table = {str(i + 1): {"R": r.tolist(), "t": (t * 1000).tolist(), "f": [1100, 1100], "c": [500, 500]}
             for i, (r, t) in enumerate(cameras)}
    for name, content in (("camera", table), ("joint_3d", joints), (fit, fits)):
        (folder / f"Human36M_subject{subject}_{name}.json").write_text(json.dumps(content))
    return [person.points @ r.T + t for r, t in cameras]


@pytest.mark.parametrize("fit", ["smpl_param", "SMPL_NeuralAnnot"])
def test_h36m(tmp_path: Path, fit: str) -> None:
    body = embedded_body()
    train, test = (posed(body, 12, Z_UP, seed) for seed in (0, 1))
    seen = write_h36m(tmp_path, train, 1, fit)
    write_h36m(tmp_path, test, 9, fit)
    data = load([parse(f"h36m:{tmp_path}")], body, body)
    assert data.train is not None and data.test is not None and data.pairs is not None
    assert len(data.train.local) == len(data.test.local) == 34  # 1.1 seconds at 30 frames a second
    wanted = Rotation.from_rotvec(train.poses[:, :3]).as_matrix()
    np.testing.assert_allclose(data.train.local[::3, 0], (Z_UP.T @ wanted)[:], atol=1e-5)
    np.testing.assert_allclose(data.train.local[:, 0, 1, 1], 1, atol=1e-5)  # upright
    assert len(data.pairs) == 24 and data.pairs.exact.all()
    expect_points(data.pairs, np.concatenate(seen), body)
    wrists = [BODY23.index("left_wrist"), H36M17.index("left_wrist")]
    np.testing.assert_allclose(data.pairs.keypoints[:12, wrists[0], :2], project(seen[0][:, wrists[1]]), atol=.1)
    expect_batches(data.pairs, body, .05)


# -- 3DPW -------------------------------------------------------------------------------------------------------------
def pw3d_table(person: Person, up: np.ndarray) -> tuple[dict, np.ndarray]:
    """One actor; a moving camera; the points in it."""
    count = len(person.poses)
    cameras = [looking(up, yaw) for yaw in np.linspace(.3, .8, count)]
    seen = np.stack([p @ r.T + t for p, (r, t) in zip(person.points, cameras)])
    poses2d = np.zeros((count, 3, 18))
    for theirs, name in enumerate(pw3d.OPENPOSE18):
        if name in BODY23:
            poses2d[:, :2, theirs] = project(seen[:, 41 + BODY23.index(name)])
            poses2d[:, 2, theirs] = .8
    poses2d[3] = 0  # nobody found
    extrinsics = np.stack([np.block([[r, t[:, None]], [np.zeros((1, 3)), 1]]) for r, t in cameras])
    valid = np.ones(count, int)
    valid[5] = 0
    return {"sequence": "downtown", "poses": [person.poses], "trans": [person.trans], "betas": [person.betas],
            "genders": ["f"], "poses2d": [poses2d], "campose_valid": [valid], "cam_poses": extrinsics,
            "cam_intrinsics": K, "img_frame_ids": np.arange(count), "v_template_clothed": [np.zeros((4, 3))]}, seen


@pytest.mark.parametrize("up", [np.eye(3), Z_UP, Rotation.from_euler("x", -90, degrees=True).as_matrix()])
def test_3dpw(tmp_path: Path, up: np.ndarray) -> None:
    body = embedded_body()
    person = posed(body, 12, up)
    table, seen = pw3d_table(person, up)
    for part in ("train", "validation"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "downtown.pkl").write_bytes(pickle.dumps(table, 2))
    data = load([parse(f"3dpw:{tmp_path}")], body, body)
    assert data.train is not None and data.test is not None and data.pairs is not None
    np.testing.assert_allclose(data.train.local[:, 0, 1, 1], 1, atol=1e-5)  # upright, whichever axis was up
    np.testing.assert_allclose(np.diff(data.train.root, axis=0)[:, 1], 0, atol=1e-6)
    assert len(data.pairs) == 10 and not data.pairs.exact.any()
    expect_points(data.pairs, np.delete(seen, (3, 5), 0), body)
    expect_batches(data.pairs, body, .01)


def test_3dpw_pickles_cannot_run_anything(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"poses": Evil()}))
    with pytest.raises(DataError, match="asks to run pathlib"):
        load([parse(f"3dpw:{tmp_path}")], embedded_body(), None)
    assert not (tmp_path / "touched").exists()


# -- SURREAL ----------------------------------------------------------------------------------------------------------
def test_surreal(tmp_path: Path) -> None:
    """As SURREAL's own smpl_relations.py poses and projects: a quarter turn, and a camera that mirrors."""
    body = embedded_body()
    world = Rotation.from_euler("x", 180, degrees=True).as_matrix()  # its up is -y
    person = posed(body, 8, world)
    turn = Rotation.from_euler("x", 90, degrees=True) * Rotation.from_euler("z", .7)
    poses = person.poses.copy()
    poses[:, :3] = (turn.inv() * Rotation.from_rotvec(person.poses[:, :3])).as_rotvec()
    place = np.array([7, -1.0, 0])
    folder = tmp_path / "cmu" / "train" / "run0" / "02_01"
    folder.mkdir(parents=True)
    content = {"pose": poses.T.astype(np.float32), "shape": np.tile(person.betas[:, None], (1, 8)).astype(np.float32),
               "joints3D": person.smpl24.transpose(2, 1, 0), "joints2D": np.zeros((2, 24, 8)), "camLoc": place[:, None],
               "zrot": np.full((8, 1), .7, np.float32), "gender": np.zeros((8, 1), np.uint8), "sequence": "02_01_c0001"}
    savemat(folder / "02_01_c0001_info.mat", content)
    data = load([parse(f"surreal:{tmp_path}")], body, body)
    assert data.train is not None and data.test is None and data.pairs is not None and len(data.pairs) == 8
    mirrored = (person.smpl24 - place) @ np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 0]]).T
    made = PointSkinner(body)(global_rotations(data.pairs.local)[:, None], data.pairs.shape)[:, 0, J.SMPL]
    truth = mirrored[:, SMPL_FLIP]
    # The body itself is symmetrical to a few millimetres.
    np.testing.assert_allclose(made - made[:, :1], truth - truth[:, :1], atol=.012)
    np.testing.assert_allclose(np.linalg.det(data.pairs.local), 1, atol=1e-4)
    np.testing.assert_allclose(data.train.local[:, 0, 1, 1], 1, atol=1e-4)  # upright
    knee = BODY23.index("left_knee")
    flat = truth[..., :2] / truth[..., 2:] * 600 + [160, 120]
    np.testing.assert_allclose(data.pairs.keypoints[:, knee, :2], flat[:, 4], atol=.1)
    expect_batches(data.pairs, body, .06)


# -- COCO and MuCo ----------------------------------------------------------------------------------------------------
def test_coco_with_either_fits(tmp_path: Path) -> None:
    body = embedded_body()
    person = posed(body, 40, np.diag([1, -1, -1.0]))  # fits are in camera axes: y down
    seen = person.points - person.points[:, :1] + [0, 0, 60]  # so far away that perspective hardly matters
    scale = 60 * 200
    images, annotations, fits = [], [], {}
    for i in range(40):
        keypoints = np.zeros((23, 3))
        keypoints[:, :2] = seen[i, J.BODY, :2] / seen[i, J.BODY, 2:] * scale + 320
        keypoints[:, 2] = 2
        keypoints[4] = 0
        images.append({"id": 1000 + i, "width": 640, "height": 640, "file_name": f"{i:012d}.jpg"})
        annotations.append({"id": i, "image_id": 1000 + i, "iscrowd": 0, "num_keypoints": 16, "bbox": [0, 0, 1, 1],
                            "keypoints": keypoints[:17].ravel().tolist(), "foot_kpts": keypoints[17:].ravel().tolist()})
        fits[str(i)] = {"smpl_param": {"pose": person.poses[i].tolist(), "shape": person.betas.tolist(),
                                       "trans": [0, 0, 60]},
                        "cam_param": {"focal": [5000, 5000], "princpt": [320, 320], "s": [200, 200], "t": [320, 320]}}
    annotations.append({"id": 40, "image_id": 1000, "iscrowd": 1})
    held_out = sum(chosen_for_test(str(1000 + i)) for i in range(40))
    for names in (("person_keypoints_train2017", "coco_smplify_train"),
                  ("coco_wholebody_train_v1.0", "MSCOCO_train_SMPL_NeuralAnnot")):
        folder = tmp_path / names[0]
        folder.mkdir()
        (folder / f"{names[0]}.json").write_text(json.dumps({"images": images, "annotations": annotations}))
        (folder / f"{names[1]}.json").write_text(json.dumps(fits))
        data = load([parse(f"coco:{folder}")], body, body)
        assert data.train is not None and data.pairs is not None and data.pairs.aimed.all()
        assert len(data.pairs) == 40 - held_out == len(np.unique(data.train.clip))
        assert (data.test is None) == (held_out == 0)
        np.testing.assert_allclose(data.train.local[:, 0, 1, 1], 1, atol=1e-4)
        kept = [i for i in range(40) if not chosen_for_test(str(1000 + i))]
        expect_points(data.pairs, person.points[kept], body)
        assert (data.pairs.keypoints[:, 4, 2] == 0).all()
        expect_batches(data.pairs, body, .06)


def test_muco(tmp_path: Path) -> None:
    body = embedded_body()
    person = posed(body, 30, np.diag([1, -1, -1.0]))
    place = np.array([.3, 0, 4]) - person.points[:, :1]
    seen, trans = person.points + place, person.trans + place[:, 0]
    points = np.zeros((30, 21, 3))
    for ours, theirs in muco.OURS:
        points[:, theirs] = seen[:, 41 + ours]
    points[:, muco.PELVIS] = seen[:, 0]
    points[points == 0] = 4
    annotations, fits = [], {}
    for i in range(30):
        for number, nearer in ((i, 0), (100 + i, 3.0)):  # a second person farther away, whom we leave out
            there = points[i] + [0, 0, nearer]
            annotations.append({"id": number, "image_id": i, "keypoints_cam": (there * 1000).tolist(),
                                "keypoints_img": project(there).tolist(), "bbox": [0, 0, 1, 1]})
            fits[str(number)] = {"pose": person.poses[i].tolist(), "shape": person.betas.tolist(),
                                 "trans": trans[i].tolist()}
    fits["7"]["pose"][3] = float("nan")  # as in the official file
    images = [{"id": i, "width": 1000, "height": 1000, "f": [1100, 1100], "c": [500, 500], "file_name": ""}
              for i in range(30)]
    (tmp_path / "MuCo-3DHP.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    (tmp_path / "smpl_param.json").write_text(json.dumps(fits))
    data = load([parse(f"muco:{tmp_path}")], body, body)
    kept = [i for i in range(30) if i != 7 and not chosen_for_test(str(i))]
    assert data.pairs is not None and len(data.pairs) == len(kept) and data.pairs.exact.all()
    expect_points(data.pairs, seen[kept], body)
    expect_batches(data.pairs, body, .05)


# -- bodies -----------------------------------------------------------------------------------------------------------
def test_shapes_carry_over_to_another_body() -> None:
    """A body whose shape space is another basis of ours: limb lengths come out the same."""
    body = embedded_body()
    mix = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0].astype(np.float32)
    other = replace(body, shapedirs=np.tensordot(mix, body.shapedirs, 1),
                    J_shapedirs=np.tensordot(mix, body.J_shapedirs, 1))
    betas = np.random.default_rng(1).normal(0, .8, (20, 16))
    made = ShapeMatch(other, body)(betas)

    def lengths(b: Body, shape: np.ndarray) -> np.ndarray:
        joints = b.J_template + np.tensordot(shape, b.J_shapedirs, 1)
        return np.linalg.norm(joints[:, 1:] - joints[:, b.parents[1:]], axis=-1)

    error = np.abs(lengths(body, made) - lengths(other, betas)).mean()
    average = np.abs(lengths(body, 0 * made) - lengths(other, betas)).mean()
    assert error < .25 * average and error < .004
    same = ShapeMatch(body, body)(betas[:, :10])
    np.testing.assert_allclose(same, np.pad(betas[:, :10], ((0, 0), (0, 6))), atol=1e-6)


def test_another_rest_pose_keeps_where_limbs_point(tmp_path: Path) -> None:
    """The data's body rests with hanging arms and spread legs: after loading, our limbs point where its limbs did."""
    body = embedded_body()
    joints = body.J_template.copy()
    for chain, axis, angle in (((16, 18, 20, 22), "z", -.3), ((17, 19, 21, 23), "z", .3), ((1, 4, 7, 10), "z", .1)):
        turn = Rotation.from_euler(axis, angle).as_matrix()
        joints[list(chain)] = (joints[list(chain)] - joints[chain[0]]) @ turn.T + joints[chain[0]]
    smpl = replace(body, J_template=joints)
    person = posed(body, 10, Z_UP)
    write_amass(tmp_path / "a_poses.npz", person, 30.0, "smplh")
    motion = load([parse(f"amass:{tmp_path}")], body, smpl).train
    assert motion is not None
    wanted = Rotation.from_rotvec(person.poses.reshape(-1, 3)).as_matrix().reshape(-1, 24, 3, 3)
    wanted[:, 0] = Z_UP.T @ wanted[:, 0]
    ours, theirs = global_rotations(motion.local), global_rotations(wanted)
    for joint, child in ((16, 18), (18, 20), (17, 19), (19, 21), (1, 4), (4, 7)):
        a, b = (rest[child] - rest[joint] for rest in (body.J_template, joints))
        np.testing.assert_allclose(ours[:, joint] @ (a / np.linalg.norm(a)), theirs[:, joint] @ (b / np.linalg.norm(b)),
                                   atol=1e-5)


def test_pictures_need_the_body_that_they_were_fitted_with(tmp_path: Path) -> None:
    body = embedded_body()
    write_h36m(tmp_path, posed(body, 6, Z_UP), 1, "smpl_param")
    data = load([parse(f"h36m:{tmp_path}")], body, None)
    assert data.train is not None and data.pairs is None and data.left_out == 12


def test_pictures_whose_fit_is_elsewhere_are_left_out(tmp_path: Path) -> None:
    body = embedded_body()
    table, _ = pw3d_table(posed(body, 12, np.eye(3)), np.eye(3))
    table["poses2d"][0][:6] = table["poses2d"][0][:6][:, [1, 0, 2]]  # lying keypoints
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(table, 2))
    data = load([parse(f"3dpw:{tmp_path}")], body, body)
    assert data.pairs is not None and len(data.pairs) == 10 and len(PairSampler(body, data.pairs)) == 6


# -- hostile input ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["amass", "amass:", "freihand:/data", ":/data", "/data"])
def test_sources_are_named_right(text: str) -> None:
    with pytest.raises(DataError, match="amass, h36m, coco, 3dpw, surreal, muco"):
        parse(text)


def test_a_path_may_hold_colons() -> None:
    assert parse("amass:D:/data").path == Path("D:/data")


@pytest.mark.parametrize(("name", "file"), [
    ("amass", "a_poses.npz"), ("3dpw", "a.pkl"), ("surreal", "a_info.mat"), ("h36m", "Human36M_subject1_camera.json"),
    ("coco", "person_keypoints_train2017.json"), ("muco", "MuCo-3DHP.json")])
@pytest.mark.parametrize("content", [b"", b"\x00\x93garbage" * 9, b"[" * 4000, b"[]", b"{}", b"\x80\x02]q\x00."])
def test_damaged_files_are_named(tmp_path: Path, name: str, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    for other in ("coco_smplify_train.json", "smpl_param.json", "Human36M_subject1_smpl_param.json",
                  "Human36M_subject1_joint_3d.json"):
        (tmp_path / other).write_bytes(content)
    try:
        data = load([parse(f"{name}:{tmp_path}")], embedded_body(), None)
    except DataError as error:
        assert str(tmp_path) in error.message and error.cure
    else:
        assert name == "h36m" and content == b"{}" and data.train is None  # no cameras, no takes


def test_missing_folders_are_named(tmp_path: Path) -> None:
    for name in ("amass", "h36m", "coco", "3dpw", "surreal", "muco"):
        for path in (tmp_path / "nowhere", tmp_path):
            with pytest.raises(DataError, match=str(path)):
                load([parse(f"{name}:{path}")], embedded_body(), None)


@pytest.mark.parametrize(("key", "value", "message"), [
    ("poses", np.zeros((5, 60)), "66 to 165"), ("poses", np.full((5, 156), np.nan), "no numbers"),
    ("poses", np.zeros(156), "poses is 156"), ("poses", np.array(["a"]), "numbers"),
    ("trans", np.zeros((4, 3)), "trans is 4"),
    ("mocap_framerate", np.array(0.0), "cannot be"), ("betas", np.array({}, object), "readable")])
def test_wrong_numbers_are_named(tmp_path: Path, key: str, value: np.ndarray, message: str) -> None:
    content = {"poses": np.zeros((5, 156)), "trans": np.zeros((5, 3)), "betas": np.zeros(16),
               "mocap_framerate": np.array(60.0)} | {key: value}
    np.savez(tmp_path / "a_poses.npz", **content)
    with pytest.raises(DataError, match=message):
        load([parse(f"amass:{tmp_path}")], embedded_body(), None)
