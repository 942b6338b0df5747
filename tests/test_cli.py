"""The command line: help that teaches, real results in every format, batch, doctor, exit codes."""
from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import av
import held_cli
import numpy as np
import pytest

from pose2mesh_blender.cli import main
from pose2mesh_blender.core.results import read_result
from pose2mesh_blender.core.take import Take


def run_cli(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.mark.parametrize("command", ["animate", "solve", "batch", "doctor", "bench"])
def test_help_teaches(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0 and len(capsys.readouterr().out) > 200


def test_main_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    said = capsys.readouterr().out
    assert stop.value.code == 0 and "pose2mesh animate shot.mp4 -o shot.fbx" in said and "evaluate" in said


@pytest.mark.parametrize("arguments", [[], ["dance"], ["animate"], ["animate", "x.mp4"],
                                       ["solve", "x", "-o", "y.npz", "--smooth", "much"],
                                       ["animate", "x", "-o", "y.npz", "--fov", "5", "--focal", "5"]])
def test_wrong_usage_is_exit_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


def test_solve_writes_what_the_help_says(tmp_path, demo_clip, capsys):
    out = tmp_path / "new folder" / "rösult.npz"
    assert run_cli("solve", demo_clip, "-o", out, "--end", 11, "--step", 2, "--start", 2, "--people", 1, "--fov", 60,
                   "--quality", "fast") == 0
    said = capsys.readouterr().out
    assert "5 frames" in said and "1 person" in said and str(out) in said
    result = read_result(out)
    shapes = {"vertices": (1, 5, 6890, 3), "translation": (1, 5, 3), "keypoints": (1, 5, 23, 3),
              "joints_h36m17": (1, 5, 17, 3), "joints_coco17": (1, 5, 17, 3), "joints_smpl24": (1, 5, 24, 3),
              "frames": (5,), "timestamps": (5,), "intrinsics": (3, 3), "faces": (13776, 3)}
    assert {k: v.shape for k, v in result.items()} == shapes and result["vertices"].dtype == np.float32
    assert result["frames"].tolist() == [2, 4, 6, 8, 10]
    np.testing.assert_allclose(np.diff(result["timestamps"]), 2 / 60, atol=1e-3)
    np.testing.assert_allclose(result["joints_h36m17"][0, :, 0], 0, atol=1e-4)  # the pelvis is the origin
    # The mesh lies where the person is: its COCO joints meet the keypoints in the picture.
    points = result["joints_coco17"][0] + result["translation"][0][:, None]
    pixels = points @ result["intrinsics"].T
    pixels = pixels[..., :2] / pixels[..., 2:]
    keypoints = result["keypoints"][0, :, :17]
    sure = keypoints[..., 2] > 0.5
    tall = np.ptp(keypoints[..., 1][sure])
    assert np.median(np.linalg.norm(pixels - keypoints[..., :2], axis=-1)[sure]) < 0.05 * tall
    assert [p.name for p in out.parent.iterdir()] == [out.name]  # the take is gone, nothing else is left


def test_solve_writes_arrays_only(tmp_path, demo_clip, capsys):
    assert run_cli("solve", demo_clip, "-o", tmp_path / "x.fbx") == 1
    assert ".npz" in capsys.readouterr().err


def test_animate_writes_every_format(tmp_path, demo_clip):
    pytest.importorskip("bpy")
    names = ["a.blend", "a.fbx", "a.glb", "a.usdc", "a.abc", "a.npz", "a.mp4", "a.png"]
    outputs = [x for name in names for x in ("-o", tmp_path / name)]
    process = subprocess.run([sys.executable, "-m", "pose2mesh_blender.cli", "animate", str(demo_clip), "--end", "5",
                              "--people", "1", "--quality", "fast", "--take", str(tmp_path / "take"),
                              *map(str, outputs)], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert all((tmp_path / name).stat().st_size > 1000 for name in names)
    assert not list(tmp_path.glob("*.part*")) and Take.open(tmp_path / "take").done.all()
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in container.decode(stream)) == 6 and float(stream.average_rate) == 60


def test_keypoint_file_to_result(tmp_path, demo_clip):
    """The demo's own keypoints, given as a file, lead to nearly the same mesh; nothing but the source differs."""
    assert run_cli("solve", demo_clip, "-o", tmp_path / "a.npz", "--end", 5, "--people", 1, "-q") == 0
    a = read_result(tmp_path / "a.npz")
    np.savez(tmp_path / "keypoints.npz", keypoints=a["keypoints"], skeleton="body23", image_size=(540, 960), fps=60,
             intrinsics=a["intrinsics"])
    assert run_cli("solve", tmp_path / "keypoints.npz", "-o", tmp_path / "b.npz", "-q") == 0
    b = read_result(tmp_path / "b.npz")
    np.testing.assert_allclose(b["timestamps"], a["timestamps"], atol=1e-3)
    np.testing.assert_array_equal(b["keypoints"], a["keypoints"])
    assert np.linalg.norm(a["vertices"] - b["vertices"], axis=-1).mean() < 0.08


def test_still_and_image_sequence(tmp_path, demo_clip):
    import cv2

    folder = tmp_path / "frames"
    folder.mkdir()
    with av.open(str(demo_clip)) as container:
        for i, frame in zip(range(3), container.decode(video=0)):
            cv2.imwrite(str(folder / f"shot_{i:04d}.jpg"), frame.to_ndarray(format="bgr24"))
    assert run_cli("solve", folder, "-o", tmp_path / "s.npz", "-q", "--quality", "fast") == 0
    assert read_result(tmp_path / "s.npz")["vertices"].shape[1] == 3
    cv2.imwrite(str(tmp_path / "one.png"), cv2.imread(str(folder / "shot_0000.jpg")))
    assert run_cli("solve", tmp_path / "one.png", "-o", tmp_path / "p.npz", "-q", "--quality", "fast") == 0
    assert run_cli("animate", folder / "shot_0001.jpg", "-o", tmp_path / "i.npz", "-o", tmp_path / "i.png", "-q") == 0
    assert read_result(tmp_path / "i.npz")["vertices"].shape[1] == 1 and (tmp_path / "i.png").stat().st_size > 1000


def test_batch_does_what_is_missing_and_survives_failures(tmp_path, demo_clip, capsys):
    footage, out = tmp_path / "footage", tmp_path / "out"
    footage.mkdir()
    (footage / "good.mp4").write_bytes(demo_clip.read_bytes())
    (footage / "broken.mp4").write_text("not a film")
    (footage / "readme.txt").write_text("ignored")
    command = ("batch", footage, "-o", out, "--format", "npz", "--end", 3, "--quality", "fast")
    assert run_cli(*command) == 1
    assert "broken.mp4" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert {r["input"].rsplit("/")[-1]: r["state"] for r in report["results"]} == {"good.mp4": "done",
                                                                                    "broken.mp4": "failed"}
    assert sorted(p.name for p in out.iterdir()) == ["good.npz", "report.json"]
    made = (out / "good.npz").stat().st_mtime_ns
    (footage / "broken.mp4").write_bytes(demo_clip.read_bytes())  # the user repairs it
    assert run_cli(*command) == 0
    assert (out / "good.npz").stat().st_mtime_ns == made and (out / "broken.npz").exists()
    states = [r["state"] for r in json.loads((out / "report.json").read_text())["results"]]
    assert sorted(states) == ["done", "skipped"]


def test_doctor_finds_a_healthy_installation(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "onnxruntime" in said and "pose2mesh network" in said and "Everything needed is there" in said


def test_ctrl_c_is_exit_code_130_and_the_same_command_goes_on(tmp_path, demo_clip):
    out = tmp_path / "x.npz"
    command = ["solve", str(demo_clip), "-o", str(out), "--quality", "fast", "--end", "30"]
    hold = tmp_path / "hold"
    hold.touch()
    process = subprocess.Popen([sys.executable, held_cli.__file__, "8", str(hold), *command], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    flags, end = tmp_path / "x.npz.take" / "take.json", time.monotonic() + 120
    while not (flags.exists() and Take.open(flags.parent).detected.sum() >= 3):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    hold.unlink()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command goes on" in said and said.count("\n") == 1
    assert not out.exists()
    again = [sys.executable, "-m", "pose2mesh_blender.cli", *command]
    assert subprocess.run(again, capture_output=True).returncode == 0
    assert out.exists() and not flags.parent.exists()


def test_leftover_take_of_another_run_is_replaced(tmp_path, demo_clip):
    """The take beside the output is ours; when it belongs to other settings it is made again without a question."""
    from pose2mesh_blender.core.pipeline import Settings, run

    run(demo_clip, tmp_path / "x.npz.take", Settings(preset="fast", end=2))
    assert run_cli("solve", demo_clip, "-o", tmp_path / "x.npz", "--quality", "fast", "--end", 3, "-q") == 0
    assert read_result(tmp_path / "x.npz")["vertices"].shape[1] == 4


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_train_and_evaluate_belong_to_training(capsys, command):
    """Only training needs torch."""
    if command == "train":
        pytest.importorskip("torch")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0


def test_a_body_of_ones_own(tmp_path, demo_clip):
    """A made-up SMPL file, a tenth smaller than the bundled body, takes over the pose with its own size."""
    from pose2mesh_blender.core.body import load_body

    body = load_body()
    regressor = np.zeros((24, 6890))
    rows = body.regressors["smpl24"]
    for joint in range(24):
        entries = slice(rows.indptr[joint], rows.indptr[joint + 1])
        regressor[joint, rows.indices[entries]] = rows.data[entries]
    np.savez(tmp_path / "SMPL_MINE.npz", v_template=0.9 * body.v_template, f=body.faces.astype(np.uint32),
             J_regressor=regressor / regressor.sum(1, keepdims=True), weights=body.weights,
             kintree_table=np.stack([body.parents, np.arange(24)]), posedirs=np.zeros((6890, 3, 207)),
             shapedirs=np.moveaxis(1e-5 * body.shapedirs[:10], 0, -1).astype(np.float64))
    command = ("solve", demo_clip, "--quality", "fast", "--end", 2, "--people", 1, "-q", "-o")
    assert run_cli(*command, tmp_path / "ours.npz") == 0
    assert run_cli(*command, tmp_path / "theirs.npz", "--body", tmp_path / "SMPL_MINE.npz") == 0
    ours, theirs = (read_result(tmp_path / name)["vertices"][0] for name in ("ours.npz", "theirs.npz"))
    assert 0.75 < np.median(np.ptp(theirs, axis=1) / np.ptp(ours, axis=1)) < 0.99
    np.testing.assert_allclose(body.regress("h36m17", theirs)[:, 0], 0, atol=1e-4)


def test_a_reader_that_stops_listening_is_no_bug(root) -> None:
    """`pose2mesh doctor | true` ends without complaint."""
    process = subprocess.Popen([sys.executable, "-m", "pose2mesh_blender.cli", "doctor"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root)
    assert process.stdout and process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert "bug" not in said and "Traceback" not in said and "Exception" not in said


def test_shape_and_threads_reach_the_settings(tmp_path, capsys):
    from pose2mesh_blender.cli import _settings, parser

    command = ["animate", "shot.mp4", "-o", "shot.npz"]
    plain = _settings(parser().parse_args(command))
    given = _settings(parser().parse_args([*command, "--free-shape", "--threads", "2"]))
    assert (plain.free_shape, plain.threads, given.free_shape, given.threads) == (False, 0, True, 2)
    assert run_cli("solve", tmp_path / "shot.mp4", "-o", tmp_path / "a.npz", "--threads", -1) == 1
    assert "threads must be 0 or more" in capsys.readouterr().err
