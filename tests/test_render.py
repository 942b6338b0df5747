"""Rendered training pictures: the drawn body lies where the camera model says, and the detectors know it."""
from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import intrinsics_from_focal, project
from pose2mesh_blender.core.detection import PoseEstimator
from pose2mesh_blender.core.errors import Pose2MeshError
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.training import detections as D
from pose2mesh_blender.training.render import EMPTY, Film, Light, Renderer, Room
from pose2mesh_blender.training.synthetic import axis_angle_to_matrix, global_rotations
from pose2mesh_blender.training.wardrobe import Look, Wardrobe

SIZE, FOCAL = (480, 640), 700.0
FACING = np.diag([1.0, -1.0, -1.0])  # body axes (y up, z out of the chest) -> a camera that looks at the chest
AWAY = np.diag([-1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    try:
        return Renderer(embedded_body())
    except Pose2MeshError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    return Wardrobe(embedded_body())


def standing(turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (6890, 3) and lift points (71, 3) in camera space: arms half down, 3 m away."""
    body = embedded_body()
    local = np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1))
    local[:, 16], local[:, 17] = (axis_angle_to_matrix(np.float32([0, 0, a])) for a in (-1.0, 1.0))
    vertices, joints = body.pose(global_rotations(local), np.zeros((1, 16), np.float32))
    points = J.lift_points(vertices, joints, body) + body.regress("h36m17", vertices)[:, :1]
    return vertices[0] @ turn.T + [0, 0, 3], points[0] @ turn.T + [0, 0, 3]


def test_the_body_is_drawn_where_the_camera_sees_it(renderer: Renderer) -> None:
    vertices, _ = standing(FACING)
    bare = Look(np.full((4, 4, 3), 128, np.uint8), np.zeros(6890, np.float32))
    depth = renderer.depth([renderer.dressed(vertices, bare)], FOCAL, SIZE)
    assert depth.shape == SIZE[::-1]
    rows, columns = np.nonzero(depth < EMPTY)
    pixels = project(vertices, intrinsics_from_focal(*SIZE, FOCAL))
    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    np.testing.assert_allclose(drawn, [*pixels.min(0), *pixels.max(0)], atol=1.5)
    assert abs(depth[depth < EMPTY].min() - vertices[:, 2].min()) < .005


def test_what_is_behind_the_body_is_hidden(renderer: Renderer, wardrobe: Wardrobe) -> None:
    look = wardrobe.look(np.random.default_rng(0))
    for turn, seen in ((FACING, True), (AWAY, False)):
        vertices, points = standing(turn)
        depth = renderer.depth([renderer.dressed(vertices, look)], FOCAL, SIZE)
        joints = points[J.BODY]
        behind = D._behind(depth, project(joints, intrinsics_from_focal(*SIZE, FOCAL)), joints[:, 2])
        visible = behind < D.UNDER
        assert visible[[0, 1, 2]].all() == seen, "nose and eyes"
        assert visible[5:17].all(), "nothing is in front of the limbs from either side"
    outside = D._behind(depth, np.array([[-1.0, 5], [5, 1e4]]), np.ones(2))
    assert np.isnan(outside).all()


@pytest.mark.parametrize("turn", [FACING, AWAY], ids=["front", "back"])
def test_the_estimator_finds_the_drawn_joints(renderer: Renderer, wardrobe: Wardrobe, turn: np.ndarray) -> None:
    """The sides, too: a mirrored picture would fail here."""
    rng = np.random.default_rng(3)
    vertices, points = standing(turn)
    look = wardrobe.look(rng)
    room = Room(np.array([-3, -2, -1.0]), np.array([3, 2, 6.0]), np.full((6, 8, 8, 3), 150, np.uint8), 1.0)
    renderer.furnish([look], room)
    light = Light(np.array([.3, .8, .5]), np.full(3, .6), np.full(3, .6), np.full(3, .4), 0.0)
    image = renderer.draw([renderer.dressed(vertices, look)], FOCAL, SIZE, light, FACING, np.array([0, 0, 3.0]))
    assert image.shape == (*SIZE[::-1], 3) and image.std() > 10
    found = PoseEstimator("accurate", "cpu").estimate(image)
    assert len(found) == 1
    truth = project(points[J.BODY], intrinsics_from_focal(*SIZE, FOCAL))
    off = np.linalg.norm(found[0].keypoints[:17, :2] - truth[:17], axis=1) / np.ptp(truth, axis=0).max()
    assert off[5:].max() < .06 and found[0].score > .5


def test_every_look_is_another(wardrobe: Wardrobe) -> None:
    looks = [wardrobe.look(np.random.default_rng(seed)) for seed in range(12)]
    assert all(np.abs(a.texture.astype(int) - b.texture).mean() > 5 for a, b in pairwise(looks))
    thickness = np.stack([look.thickness for look in looks])
    assert thickness.min() >= 0 and .01 < thickness.max() < .1
    again = wardrobe.look(np.random.default_rng(0))
    assert (again.texture == looks[0].texture).all()


@pytest.mark.parametrize("codec", ["none", "jpeg", "h264"])
def test_film_keeps_size_order_and_content(codec: str) -> None:
    ramp = np.linspace(20, 200, 64).astype(np.uint8)
    images = [np.broadcast_to(np.roll(ramp, 8 * i)[None, :, None], (48, 64, 3)).copy() for i in range(4)]
    film = Film(np.ones(3), 1.0, 0.0, 1.0, 3.0, codec, 80 if codec == "jpeg" else 20)
    developed = film.develop(images, np.random.default_rng(0))
    assert [i.shape for i in developed] == [i.shape for i in images]
    for i, image in enumerate(developed):
        differences = [np.abs(image.astype(int) - other).mean() for other in images]
        assert int(np.argmin(differences)) == i and differences[i] < 12


def test_pairs_are_made_in_parts_and_joined(renderer: Renderer, tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    poses = np.cumsum(rng.normal(0, .01, (30, 24, 3)), 0).astype(np.float16)
    np.savez(tmp_path / "walk.npz", poses=poses, trans=np.zeros((30, 3), np.float32), clip_name=["walk"],
             clip_start=[0], clip_len=[30], rest_joints=embedded_body().J_template)
    target = tmp_path / "pairs.npz"
    small = tmp_path / "small.npz"
    command = ["--mocap", str(tmp_path / "walk.npz"), "--to", str(target), "--sequences", "2", "--length", "3"]
    assert D.main([*command, "--worker", "0/2"]) == 0
    assert not target.exists() and len(list((tmp_path / "pairs.parts").iterdir())) == 1
    before = (tmp_path / "pairs.parts" / "00000.npz").read_bytes()
    assert D.main([*command, "--small", str(small)]) == 0
    assert (tmp_path / "pairs.parts" / "00000.npz").read_bytes() == before, "a finished part was made again"
    with np.load(target) as z:
        assert z["accurate"].shape == z["fast"].shape == (2, 3, 23, 3) and z["points"].shape == (2, 3, 71, 3)
        assert z["points"][..., 2].min() > .3 and np.isfinite(z["points"]).all()
        assert z["visible"].dtype == bool and z["visible"].any()
        gone = ~np.isfinite(z["accurate"][..., 0])
        assert (z["accurate"][..., 2][gone] == 0).all()
        np.testing.assert_allclose(np.diff(z["timestamps"]), 1 / 30, atol=1e-6)
        assert (z["points"][..., 0, 2] < 20).all()
    assert small.stat().st_size < .6 * target.stat().st_size
    full, copy = (D.load(path, embedded_body()) for path in (target, small))
    for name, tolerance in (("accurate", .05), ("points", .003), ("rotations", .003), ("shape", 0), ("visible", 0)):
        np.testing.assert_allclose(full[name].astype(float), copy[name].astype(float), atol=tolerance, err_msg=name)
