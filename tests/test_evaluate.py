"""The yardstick: measures give what is known by construction, and conditions are what they are called."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from people import INTRINSICS, keypoints_of, turn, walk

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.errors import AssetError, KeypointFileError, Pose2MeshError
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.training.evaluate import main
from pose2mesh_blender.training.evaluation import footage, real, report, sheets, shots, takes
from pose2mesh_blender.training.evaluation.conditions import BY_NAME, HeldOut
from pose2mesh_blender.training.evaluation.joint_errors import joint_errors
from pose2mesh_blender.training.evaluation.surface import OUTSIDE, SurfaceMeasure
from pose2mesh_blender.training.metrics import Estimate, acceleration, knee_flexion, over_clips, speed_lag
from pose2mesh_blender.training.synthetic import LEGS, Motion, axis_angle_to_matrix, global_rotations


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Four made-up clips of people who stand and wave; two move their legs, too."""
    rng, t = np.random.default_rng(0), np.arange(120)
    local = []
    for clip in range(4):
        waves = np.sin(t[:, None, None] * rng.uniform(.1, .5, (24, 3)) + rng.uniform(0, 6, (24, 3)))
        v = waves * rng.uniform(0, .35, (24, 3))
        v[:, 0] = [0, clip, 0]
        v[:, LEGS] *= clip > 1
        local.append(axis_angle_to_matrix(v.astype(np.float32)))
    root = np.zeros((480, 3), np.float32)
    return Motion(np.concatenate(local), np.repeat(np.arange(4), 120), np.arange(480), 30.0, root)


# -- statistics -------------------------------------------------------------------------------------------------------
def test_the_interval_is_over_clips_not_over_frames() -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(50, 10, 12)
    few = over_clips(np.repeat(clips, 2), np.repeat(np.arange(12), 2))
    many = over_clips(np.repeat(clips, 500), np.repeat(np.arange(12), 500))
    assert many.half == pytest.approx(few.half)
    assert few.half == pytest.approx(2.201 * clips.std(ddof=1) / np.sqrt(12), rel=1e-3)  # Student, 11 degrees
    assert few.mean == pytest.approx(clips.mean())


def test_missing_values_leave_only_their_own_clip() -> None:
    estimate = over_clips(np.array([1.0, np.nan, 3.0, np.nan]), np.array([0, 0, 1, 2]))
    assert estimate.by_clip == {0: 1.0, 1: 3.0}
    assert np.isnan(over_clips(np.array([np.nan]), np.array([0])).mean)


# -- measures of motion -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("late", [-3, 0, 2])
def test_lag_is_found(late: int) -> None:
    rng = np.random.default_rng(1)
    speed = np.abs(np.apply_along_axis(np.convolve, 0, rng.normal(size=(140, 4)), np.ones(6) / 6, "same"))
    found = np.roll(speed, late, 0)[10:-10] + .02 * rng.normal(size=(120, 4))
    assert speed_lag(found, speed[10:-10]) == pytest.approx(late, abs=.15)


def test_acceleration_is_that_of_thirty_frames_a_second() -> None:
    for fps in (12.0, 30.0, 60.0):
        t = np.arange(20) / fps
        fall = np.stack([0 * t, 4.905 * t ** 2, 0 * t], 1)
        np.testing.assert_allclose(acceleration(fall, fps)[:, 1], 9.81 / 900)


def test_knee_flexion() -> None:
    joints = np.zeros((17, 3))
    for side, angle in ((4, 0.0), (1, 30.0)):  # left straight, right bent
        joints[side + 1], back = [0, .4, 0], np.radians(angle)
        joints[side + 2] = joints[side + 1] + .4 * np.array([0, np.cos(back), np.sin(back)])
    np.testing.assert_allclose(knee_flexion(joints), [0, 30], atol=1e-5)


# -- conditions -------------------------------------------------------------------------------------------------------
def test_every_clip_counts_alike_and_truth_fits_the_keypoints(motion: Motion) -> None:
    drawn = HeldOut(embedded_body(), motion).stills(BY_NAME["clean, body23"], 5, 1)
    assert np.bincount(drawn.clip).tolist() == [5, 5, 5, 5]
    seen = J.detector_points(drawn.joints[:, 0], 0.0) + drawn.root
    pixels = seen[..., :2] / seen[..., 2:] * shots.FOCAL + shots.MIDDLE
    np.testing.assert_allclose(pixels, drawn.keypoints[:, 0, :, :2], atol=.01)
    vertices = drawn.vertices(embedded_body(), 7, np.array([0]))
    np.testing.assert_allclose(embedded_body().regress("h36m17", vertices)[0], drawn.joints[7, 0, J.H36M], atol=1e-4)


def test_conditions_are_what_they_are_called(motion: Motion) -> None:
    held_out = HeldOut(embedded_body(), motion)

    def drawn(name: str) -> shots.Shots:
        return held_out.stills(BY_NAME[name], 20, 2)

    def pelvis(s: shots.Shots, axis: int) -> np.ndarray:
        return s.rotations[:, 0, 0, :, axis]  # in camera axes: x right, y down, z away

    assert (pelvis(drawn("seen from behind"), 2)[:, 2] > .3).all()
    assert not (pelvis(drawn("detector-like, body23"), 2)[:, 2] > .3).all()
    lying, rng = BY_NAME["lying"].pose(motion.local[:40], np.random.default_rng(0)), np.random.default_rng(0)
    assert np.abs(lying[:, 0, 1, 1]).max() < .3, "the trunk is level"
    steep = np.degrees(np.arcsin(BY_NAME["steep camera"].camera(200, rng)[:, 2, 1]))  # of the world's up
    assert ((steep > 44) | (steep < -34)).all() and (steep > 0).mean() > .5
    seated = drawn("sitting, kneeling").rotations[:, 0]
    thigh = np.einsum("nab,nbc->nac", seated[:, 0].transpose(0, 2, 1), seated[:, 1])[:, :, 1]
    assert np.degrees(np.arccos(thigh[:, 1])).min() > 30, "hips are bent"
    standing = held_out.takes(BY_NAME["standing"], 2, 8)
    assert knee_flexion(standing.joints[:, :, J.H36M]).max() < 30
    legs = drawn("legs out of the picture").keypoints[:, 0, :, 2]
    assert (legs[:, 13:] == 0).all() and (legs[:, :13] > 0).mean() > .8
    missing = drawn("30 % of the joints missing").keypoints[..., 2] == 0
    assert missing[..., :17].mean() > (drawn("detector-like, body23").keypoints[..., :17, 2] == 0).mean() + .15
    assert (drawn("clean, COCO-17").keypoints[:, 0, 17:, 2] == 0).all()


# -- takes ------------------------------------------------------------------------------------------------------------
def known(change, late: int = 0, root: bool = True) -> takes.Way:
    """A way of solving that knows the truth and changes it."""

    def solve(s: shots.Shots, g: int, rows: np.ndarray) -> takes.Solved:
        vertices = change(s.vertices(embedded_body(), g, rows - late))
        points = change(np.roll(s.joints[g], late, 0))
        return takes.Solved(points, vertices, s.root[g] if root else None, np.ones(len(points), bool))

    return solve


def test_takes_measure_what_was_done_to_the_truth(motion: Motion) -> None:
    body = embedded_body()
    drawn = HeldOut(body, motion).takes(BY_NAME["clean, body23"], 3)
    rng = np.random.default_rng(0)
    table = takes.measure_takes({
        "truth": known(lambda x: x), "larger": known(lambda x: 1.1 * x), "late": known(lambda x: x, late=2),
        "turned about": known(lambda x: x if x.shape[1] == 71 else x[:, body.mirror]),
        takes.SINGLE: known(lambda x: x + rng.normal(0, .02, (len(x), 1, 3)))}, body, drawn)
    truth = table["truth"]
    for name in ("MPJPE", "PA-MPJPE", "MPVPE", "PA-MPVPE", "acceleration", "foot slide", "knee bias"):
        assert truth[name].mean == pytest.approx(0, abs=.01), name
    assert truth["sides wrong %"].mean == 0 and table["turned about"]["sides wrong %"].mean == 100
    assert truth["lag"].mean == pytest.approx(0, abs=.02) and truth["speed kept %"].mean == pytest.approx(100)
    assert table["larger"]["MPJPE"].mean > 20 > 1 > table["larger"]["PA-MPJPE"].mean
    assert table["larger"]["speed kept %"].mean == pytest.approx(110, rel=.01)
    assert table["late"]["lag"].mean == pytest.approx(2, abs=.3)
    shaken = table[takes.SINGLE]["acceleration"].mean
    assert 50 < shaken < 110, "20 mm of white noise: sqrt(6) x 20 x sqrt(8 / pi) = 78"
    assert table["late"]["acceleration ratio"] == pytest.approx(table["late"]["acceleration"].mean / shaken)


def test_joint_errors_leave_out_what_was_not_solved() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4, 17, 3))
    found = truth.copy()
    found[:, 6, 0] += .1  # left ankle
    found[3] = np.nan
    errors = joint_errors(found, truth, np.arange(4))
    assert errors["MPJPE"].mean == pytest.approx(100 / 17) and len(errors["MPJPE"].by_clip) == 3
    assert errors["MPJPE by limb"]["ankles"].mean == pytest.approx(50)
    assert errors["MPJPE by joint"]["left_ankle"].mean == pytest.approx(100)


# -- surface ----------------------------------------------------------------------------------------------------------
def winding(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Solid angles of all triangles (van Oosterom and Strackee 1983), in turns."""
    a, b, c = (vertices[faces[:, i]] - points[:, None] for i in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    over = (a * np.cross(b, c)).sum(-1)
    under = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(over, under).sum(1) / (2 * np.pi)


def test_vertices_inside_other_parts_are_found_exactly() -> None:
    body = embedded_body()
    measure = SurfaceMeasure(body)
    assert measure.inside(body.v_template).sum() < 40, "creases of toes and face"
    local = np.tile(np.eye(3, dtype=np.float32), (1, 24, 1, 1))
    local[0, 16], local[0, 18] = turn("z", -1.3), turn("y", -2.4)  # the left hand into the belly
    vertices = body.pose(global_rotations(local), np.zeros((1, 16), np.float32))[0][0].astype(np.float64)
    inside = measure.inside(vertices)
    assert 60 < inside.sum() < 1500
    normals = np.zeros_like(vertices)
    faces = body.faces
    for i in range(3):
        np.add.at(normals, faces[:, i], np.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2))))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    some = np.r_[np.flatnonzero(inside)[::8], np.flatnonzero(~inside)[::170]]
    exact = winding(vertices[some] + OUTSIDE * normals[some], vertices, faces)
    assert ((exact > .5) == inside[some]).all()


def test_surface_measures_know_size_from_distortion() -> None:
    body = embedded_body()
    measure, truth = SurfaceMeasure(body), body.v_template[None]
    none = np.zeros(1)
    same = measure(truth, truth, none)
    larger = measure(1.1 * truth @ turn("y", .4), truth, none)
    rough = measure(truth + np.random.default_rng(0).normal(0, .002, truth.shape), truth, none)
    assert max(same[c][0] for c in ("MPVPE", "PA-MPVPE", "edges %", "creases °")) < .05
    assert larger["MPVPE"] > 50 and max(larger[c][0] for c in ("PA-MPVPE", "edges %", "normals °", "creases °")) < .1
    assert rough["edges %"] > 5 and rough["creases °"] > 5 and rough["PA-MPVPE"] < 5


# -- footage ----------------------------------------------------------------------------------------------------------
def test_contacts_are_stretches_in_which_a_foot_stands() -> None:
    fps, way = 30.0, np.arange(20) * 20.0
    x = np.r_[np.zeros(20), way, np.full(4, 400.0), 400 + way, np.full(16, 800)]
    foot = np.stack([np.stack([x, 0 * x, np.ones(len(x))], 1)] * 2, 1)
    foot[..., :2] += np.random.default_rng(0).normal(0, .8, foot[..., :2].shape)  # trembles
    foot[70, 0, 2] = 0
    stands = footage.contacts(foot, np.full(len(x), 600.0), fps)
    assert stands[4:17].all() and not stands[22:62].any(), "a stop of four frames is no contact"
    assert stands[67:77].all()


def solved_take(folder: Path, still: bool = False, slide: float = 0.0) -> Take:
    """Somebody walks or stands, seen without error and solved as it was, but that the solution may slide (m/s)."""
    body, count = embedded_body(), 45
    vertices, _ = walk(count)
    vertices = vertices[[7] * count] if still else vertices
    place = np.tile([0.0, .1, 4.0], (count, 1))
    take = Take.create(folder, frames=np.arange(count), timestamps=np.arange(count) / 30, image_size=(960, 1080),
                       fps=30.0, intrinsics=INTRINSICS)
    low = (vertices[..., 1] + place[:, None, 1]).max()
    take.info["world_from_camera"] = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, float(low)], [0, 0, 0, 1]]
    take.set_people({0: "Person 1"})
    take.set_keypoints(0, keypoints_of(vertices, place))
    take.prepare_mesh(0, np.zeros(16))
    place[:, 0] += slide * np.arange(count) / 30
    take.write_mesh(0, np.arange(count), vertices, place, body.regress("smpl24", vertices))
    take.save()
    return take


def test_footage_measures_of_a_perfect_solution(tmp_path: Path) -> None:
    with solved_take(tmp_path / "take") as take:
        row = footage.measure_person(take, 0, embedded_body())
    assert row["reprojection %"] < .1 and row["flips per 1000"] == 0
    assert row["sunk, worst 5 %"] == pytest.approx(0, abs=1e-3)
    assert row["bone spread %"] < 1.5  # the joints are regressed from a skinned surface


def test_footage_measures_see_slides_jitter_and_flips(tmp_path: Path) -> None:
    body = embedded_body()
    with solved_take(tmp_path / "still", True) as still, solved_take(tmp_path / "slides", True, .5) as slides:
        before, after = (footage.measure_person(t, 0, body) for t in (still, slides))
        assert before["contact s"] > 2 and before["foot slide"] < 1 and before["floating"] < 1
        assert after["foot slide"] == pytest.approx(500, rel=.01)
        vertices = np.array(slides.vertices(0))
        vertices[20] = vertices[20, body.mirror] * [-1, 1, 1] @ np.diag([-1, 1, -1])  # turned about
        slides.write_mesh(0, np.arange(45), vertices, slides.translation(0), body.regress("smpl24", vertices))
        flipped = footage.measure_person(slides, 0, body)
    assert flipped["flips per 1000"] == pytest.approx(2000 / 45), "there and back"
    assert flipped["jitter of the pose"] > 2 * after["jitter of the pose"]


# -- real views -------------------------------------------------------------------------------------------------------
def test_a_wrong_four_camera_file_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", K=np.eye(3))
    with pytest.raises(KeypointFileError, match=r"x\.npz is not a four-camera file"):
        real.read_views(tmp_path / "x.npz")


def test_rendered_people_are_read_back(tmp_path: Path, motion: Motion) -> None:
    drawn = HeldOut(embedded_body(), motion).takes(BY_NAME["clean, body23"], 5, 8)
    k = np.array([[700.0, 0, 300], [0, 700, 200], [0, 0, 1]])
    pixels = (drawn.keypoints[..., :2] - shots.MIDDLE) / shots.FOCAL * 700 + k[:2, 2]
    seen = np.concatenate([pixels, drawn.keypoints[..., 2:]], -1)
    seen[0, 0] = np.nan
    np.savez(tmp_path / "pairs.npz", accurate=seen, points=drawn.joints + drawn.root[:, :, None], shape=drawn.shape,
             rotations=drawn.rotations, intrinsics=np.tile(k, (4, 1, 1)), timestamps=drawn.times)
    again = shots.read_rendered(tmp_path / "pairs.npz", embedded_body())
    np.testing.assert_allclose(again.keypoints[1:], drawn.keypoints[1:], atol=.01)
    np.testing.assert_allclose(again.root, drawn.root, atol=1e-5)
    assert not again.enough[0, 0] and again.enough[0, 1:].all()
    with pytest.raises(KeypointFileError):
        shots.read_rendered(tmp_path / "none.npz", embedded_body())


# -- report -----------------------------------------------------------------------------------------------------------
def results(shift: float) -> dict:
    rng = np.random.default_rng(0)
    errors = joint_errors(rng.normal(size=(30, 17, 3)) * (.05 + shift), np.zeros((30, 17, 3)), np.arange(30) // 3)
    return {"stills": {"clean, body23": {"lifter": errors, "solvable %": 100.0}}}


def test_results_survive_json_and_say_what_changed(tmp_path: Path) -> None:
    report.write_json(tmp_path / "first.json", results(0))
    first = json.loads((tmp_path / "first.json").read_text())
    lifter = first["stills"]["clean, body23"]["lifter"]
    assert len(lifter["MPJPE"]["by clip"]) == 10 and "by clip" not in lifter["MPJPE by joint"]["nose"]
    better, same = (report.changes(results(s), first) for s in (-.01, 0))
    assert "clean, body23, lifter, MPJPE |" in better and better.count("*") > 0 and "| -" in better
    assert "*" not in same


def test_nothing_to_say_is_a_dash() -> None:
    assert report.text(float("nan")) == "–" and report.text(None) == "–"
    assert report.text(Estimate.of({0: 1.0})) == "1.0" and report.plain(float("nan")) is None


def test_the_card_keeps_what_is_not_between_its_marks(tmp_path: Path) -> None:
    card = tmp_path / "CARD.md"
    card.write_text(f"before\n{report.CARD_START}\nold\n{report.CARD_END}\nafter\n")
    report.write_card(card, report.markdown(results(0)))
    text = card.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "| PA-MPJPE |" in text
    card.write_text("no marks")
    with pytest.raises(AssetError, match="has no place"):
        report.write_card(card, "x")


def test_sheets_show_the_best_and_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    monkeypatch.setattr(sheets, "PER_SHEET", 2)
    body = embedded_body()
    vertices = (body.v_template @ np.diag([1, -1, -1]) + [0, 0, 4]).astype(np.float32)
    drawn: list[int] = []

    def case(i: int) -> sheets.Case:
        drawn.append(i)
        return sheets.Case(str(i), vertices, vertices, np.zeros((23, 3)))

    paths = sheets.write_sheets(tmp_path, "x", body, np.r_[np.arange(40.0), np.nan], np.arange(41), case)
    assert [p.name for p in paths] == ["x-best.png", "x-median.png", "x-worst.png"]
    assert drawn == [0, 1, 19, 20, 39, 38]
    assert cv2.imread(str(paths[0])).std() > 10


# -- command ----------------------------------------------------------------------------------------------------------
def test_something_must_be_given(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "nothing to measure" in capsys.readouterr().err


def test_real_views_by_the_command(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    card, table = tmp_path / "CARD.md", tmp_path / "results.json"
    card.write_text(f"{report.CARD_START}\n{report.CARD_END}\n")
    view = shared / "eval" / "pose2sim_balancing_4view.npz"
    assert main(["--real", str(view), "--json", str(table), "--card", str(card)]) == 0
    assert "OpenPose keypoints, whole take" in capsys.readouterr().out
    assert "OpenPose keypoints, whole take" in card.read_text()
    for row in json.loads(table.read_text())["real"].values():
        assert 20 < row["all"]["mean"] < 90 and 0 < row["all"]["ci95"] < 25 and row["all"]["clips"] == 16
        assert row["by limb"]["wrists"]["mean"] > row["by limb"]["shoulders"]["mean"]


def test_debug_is_an_option_of_every_command(capsys: pytest.CaptureFixture) -> None:
    from pose2mesh_blender import cli

    assert cli.main(["evaluate", "--real", "absent.npz"]) == 1
    assert "absent.npz is not a four-camera file" in capsys.readouterr().err
    with pytest.raises(KeypointFileError):
        cli.main(["evaluate", "--debug", "--real", "absent.npz"])


def test_a_wrong_earlier_file_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(Pose2MeshError, match=r"x\.json is not an earlier evaluation"):
        main(["--real", "absent.npz", "--against", str(tmp_path / "x.json")])
