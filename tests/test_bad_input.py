"""Every input that cannot work: one line that names the file and the cure, exit code 1, nothing half-written."""
from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import numpy as np
import pytest

from pose2mesh_blender.cli import main
from pose2mesh_blender.core import assets
from pose2mesh_blender.core.take import Take


def refused(capsys, tmp_path: Path, source: Path, *options: str, out: str = "out.npz") -> str:
    """Runs animate, checks how it fails, and returns what it said."""
    before = set(tmp_path.rglob("*"))
    code = main(["animate", str(source), "-o", str(tmp_path / out), *options])
    said = capsys.readouterr().err
    assert code == 1, said
    assert said.count("\n") == 1 and said.startswith("pose2mesh: ") and "Traceback" not in said, said
    assert "unexpected failure" not in said, said
    assert Path(source).name in said, said
    assert set(tmp_path.rglob("*")) == before, "something was left behind"
    return said


def video(path: Path, frames: int, picture=None, audio: bool = False, video: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        if video:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for i in range(frames):
                image = np.full((240, 320, 3), 90, np.uint8) if picture is None else picture(i)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        if audio:
            stream = container.add_stream("aac", rate=44100)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def test_missing(capsys, tmp_path):
    refused(capsys, tmp_path, tmp_path / "no such shot.mp4")


@pytest.mark.parametrize("name", ["empty.mp4", "empty.png", "empty.npz", "empty.json"])
def test_empty(capsys, tmp_path, name):
    (tmp_path / name).touch()
    refused(capsys, tmp_path, tmp_path / name)


@pytest.mark.parametrize("name", ["text.mp4", "text.mov", "text.jpg", "text.npz", "text.webm"])
def test_renamed_text(capsys, tmp_path, name):
    (tmp_path / name).write_text("Dear diary, today I filmed nothing.\n" * 40)
    refused(capsys, tmp_path, tmp_path / name)


def test_truncated_before_its_index(capsys, tmp_path, demo_clip):
    path = tmp_path / "cut.mp4"
    path.write_bytes(demo_clip.read_bytes()[:2000])
    refused(capsys, tmp_path, path)


def test_audio_only(capsys, tmp_path):
    refused(capsys, tmp_path, video(tmp_path / "song.mp4", 0, audio=True, video=False))


def test_nobody_in_it(capsys, tmp_path):
    said = refused(capsys, tmp_path, video(tmp_path / "wall.mp4", 4))
    assert "nobody was found" in said


def test_empty_folder_and_folder_of_other_things(capsys, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    refused(capsys, tmp_path, folder)
    (folder / "notes.txt").write_text("no pictures here")
    refused(capsys, tmp_path, folder)


def test_start_after_the_end(capsys, tmp_path, demo_clip):
    assert "smaller first frame (--start)" in refused(capsys, tmp_path, demo_clip, "--start", "100000")


@pytest.mark.parametrize(("change", "words"), [
    ({"keypoints": np.full((2, 17, 3), np.nan)}, "missing"),
    ({"keypoints": np.ones((2, 16, 3))}, "17 joints"),
    ({"image_size": (-3, 4)}, "positive"),
])
def test_keypoint_files(capsys, tmp_path, change, words):
    path = tmp_path / "keypoints of mine.npz"
    np.savez(path, **{"keypoints": np.ones((2, 17, 3)), "skeleton": "coco17", "image_size": (640, 480), **change})
    assert words in refused(capsys, tmp_path, path)


def test_outputs_are_checked_before_any_work(capsys, tmp_path, demo_clip):
    for out, words in (("shot.xyz", "unknown kind"), ("shot", "unknown kind")):
        assert main(["animate", str(demo_clip), "-o", str(tmp_path / out)]) == 1
        assert words in capsys.readouterr().err
    (tmp_path / "folder.npz").mkdir()
    assert main(["animate", str(demo_clip), "-o", str(tmp_path / "folder.npz")]) == 1
    assert "is a folder" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["animate", str(demo_clip), "-o", str(tmp_path / "file" / "shot.npz")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.take"))


def test_footage_is_never_overwritten(capsys, tmp_path, demo_clip):
    shot = tmp_path / "shot.mp4"
    shot.write_bytes(demo_clip.read_bytes())
    (tmp_path / "sub").mkdir()
    for out in (shot, tmp_path / "sub" / ".." / "shot.mp4"):
        assert main(["animate", str(shot), "-o", str(tmp_path / "x.npz"), "-o", str(out)]) == 1
        assert "would be overwritten" in capsys.readouterr().err
    assert shot.read_bytes() == demo_clip.read_bytes() and not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("option", [["--smooth", "3"], ["--people", "0"], ["--step", "0"], ["--fov", "400"],
                                    ["--start", "5", "--end", "2"], ["--focal", "-1"]])
def test_wrong_settings(capsys, tmp_path, demo_clip, option):
    assert main(["animate", str(demo_clip), "-o", str(tmp_path / "x.npz"), *option]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Wrong setting" in said and not list(tmp_path.iterdir())


def test_wrong_body_file(capsys, tmp_path, demo_clip):
    body = tmp_path / "SMPL_NEUTRAL.pkl"
    body.write_bytes(b"\x80\x04cos\nsystem\n(S'echo hacked'\ntR.")
    code = main(["animate", str(demo_clip), "-o", str(tmp_path / "x.npz"), "--body", str(body), "--end", "1"])
    captured = capsys.readouterr()
    assert code == 1 and "SMPL_NEUTRAL.pkl" in captured.err and captured.err.count("\n") == 1
    assert "hacked" not in captured.out and [p.name for p in tmp_path.iterdir()] == ["SMPL_NEUTRAL.pkl"]


def test_no_space_left(tmp_path, demo_clip):
    """The limit of the file size stands for a full disk: the same error comes from the same place."""
    code = f"""
        import resource, sys
        from pose2mesh_blender.cli import main
        limit = int(sys.argv[1])
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.exit(main(["solve", {str(demo_clip)!r}, "-o", {str(tmp_path / "x.npz")!r}, "--quality", "fast", "--end",
                       "7", "--people", "1"]))
    """

    def attempt(limit: int) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(limit)], capture_output=True, text=True)

    for limit, where in ((3000, "take"), (300_000, "vertices.npy"), (700_000, "x.npz")):
        failed = attempt(limit)
        assert failed.returncode == 1 and failed.stderr.count("\n") == 1, failed.stderr
        assert "No space left" in failed.stderr and where in failed.stderr, failed.stderr
        assert not (tmp_path / "x.npz").exists() and not list(tmp_path.rglob("*.part*"))
        finished = Take.open(tmp_path / "x.npz.take").detected.sum() if limit > 3000 else 0
        assert finished == (8 if limit > 3000 else 0)  # finished frames survive
        assert (tmp_path / "x.npz.take").exists() == bool(finished)
    assert attempt(0).returncode == 0
    assert (tmp_path / "x.npz").exists() and not (tmp_path / "x.npz.take").exists()


@pytest.fixture
def own_models(tmp_path, monkeypatch, models):
    """A copy of the bundled files that a test may damage."""
    folder = tmp_path / "addon_models"
    shutil.copytree(models, folder)
    monkeypatch.setattr(assets, "models_dir", lambda: folder)
    assets.forget()
    yield folder
    assets.forget()


def test_wrong_and_missing_weights(capsys, tmp_path, own_models, demo_clip):
    path = own_models / "pose2mesh_surface.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    out = tmp_path / "out"
    out.mkdir()
    command = ["solve", str(demo_clip), "-o", str(out / "x.npz"), "--end", "1"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert path.name in said and "sha256" in said and said.count("\n") == 1
    path.unlink()
    assert main(command) == 1
    said = capsys.readouterr().err
    assert path.name in said and "missing" in said and not list(out.iterdir())
    assert main(["doctor"]) == 1
    assert "checks failed" in capsys.readouterr().out


def test_missing_folder(capsys, tmp_path):
    assert main(["batch", str(tmp_path / "gone"), "-o", str(tmp_path / "out"), "--format", "npz"]) == 1
    said = capsys.readouterr().err
    assert "gone" in said and said.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="takes root's rights away the Linux way")
@pytest.mark.parametrize("command", [["solve", "LOCKED", "-o", "x.npz"], ["solve", "LOCKED/shot.mp4", "-o", "x.npz"],
                                     ["solve", "LOCKED/shot.npz", "-o", "x.npz"], ["batch", "LOCKED", "-o", "out"],
                                     ["batch", "LOCKED/deep", "-o", "out"], ["solve", "DEMO", "-o", "LOCKED/x.npz"],
                                     ["solve", "DEMO", "-o", "LOCKED/deep/x.npz"]])
def test_unreadable_folder(tmp_path, demo_clip, command):
    """Without root's right to pass over permissions."""
    (tmp_path / "locked" / "deep").mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    words = [w.replace("LOCKED", str(tmp_path / "locked")).replace("DEMO", str(demo_clip)) for w in command]
    code = f"""
        import ctypes, sys
        from pose2mesh_blender.cli import main
        version, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None, use_errno=True).capset(version, nothing) == 0
        sys.exit(main({words!r}))
    """
    try:
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "locked" in done.stderr and "unexpected failure" not in done.stderr, done.stderr
