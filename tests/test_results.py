"""RESULT.npz and the overlay pictures, from a made take; and that memory does not grow with the length of footage."""
from __future__ import annotations

import subprocess
import sys
import zipfile

import av
import numpy as np
import pytest
from walking_take import make_take

from pose2mesh_blender.core.body import load_body
from pose2mesh_blender.core.errors import ExportError
from pose2mesh_blender.core.overlay import OverlayView, write_overlay
from pose2mesh_blender.core.results import CHUNK, read_result, write_result
from pose2mesh_blender.core.take import Take


@pytest.fixture(scope="module")
def walkers(tmp_path_factory) -> Take:
    """Two people, the second one away for ten frames, over more frames than one piece holds."""
    take = make_take(tmp_path_factory.mktemp("walk") / "take", CHUNK + 6, people=2, absent=slice(20, 30))
    take.close()
    return Take.open(take.folder)


def test_result_holds_the_take(tmp_path, walkers):
    write_result(walkers, tmp_path / "r.npz")
    result, body = read_result(tmp_path / "r.npz"), load_body()
    for slot, person in enumerate(walkers.people):
        np.testing.assert_array_equal(result["vertices"][slot], walkers.vertices(person))
        np.testing.assert_array_equal(result["translation"][slot], walkers.translation(person))
        np.testing.assert_array_equal(result["joints_smpl24"][slot], walkers.joints(person))
    assert np.isnan(result["vertices"][1, 20:30]).all() and np.isfinite(result["vertices"][0]).all()
    assert np.isnan(result["joints_coco17"][1, 25]).all()
    np.testing.assert_allclose(result["joints_h36m17"][0], body.regress("h36m17", result["vertices"][0]), atol=1e-6)
    left, right = result["joints_h36m17"][0, :, 4, 0], result["joints_h36m17"][0, :, 1, 0]
    assert (left > right).all()  # the person looks at the camera: the right leg, joint 1, is on the picture's left
    np.testing.assert_array_equal(result["faces"], body.faces)
    assert list(tmp_path.iterdir()) == [tmp_path / "r.npz"]


def test_result_is_plain_npz_without_pickles(tmp_path, walkers):
    write_result(walkers, tmp_path / "r.npz")
    with zipfile.ZipFile(tmp_path / "r.npz") as archive:
        assert archive.testzip() is None and all(name.endswith(".npy") for name in archive.namelist())
    with np.load(tmp_path / "r.npz", allow_pickle=False) as archive:
        assert archive["vertices"].dtype == np.float32


def test_what_is_no_result_is_refused(tmp_path, walkers):
    (tmp_path / "text.npz").write_text("nothing")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("text.npz", "other.npz", "gone.npz"):
        with pytest.raises(ExportError, match=name):
            read_result(tmp_path / name)
    empty = Take.create(tmp_path / "empty", frames=np.arange(3), timestamps=np.arange(3), image_size=(64, 48), fps=30,
                        intrinsics=np.eye(3))
    with pytest.raises(ExportError, match="no solved person"):
        write_result(empty, tmp_path / "r.npz")
    assert not (tmp_path / "r.npz").exists()


def test_overlay_draws_people_where_they_are(walkers):
    view = OverlayView(walkers)
    picture = view.draw(0, np.zeros((480, 640, 3), np.uint8))
    assert picture.shape == (480, 1280, 3)
    covered = picture[:, :640].max(2) > 0
    for person in walkers.people:
        points = (walkers.joints(person)[0] + walkers.translation(person)[0]) @ walkers.intrinsics.T
        x, y = (points[0, :2] / points[0, 2]).astype(int)
        assert covered[y, x], "the pelvis is not drawn"
    assert 0.02 < covered.mean() < 0.4 and not covered[:5].any()
    alone = view.draw(25, np.zeros((480, 640, 3), np.uint8))
    assert (alone[:, :640].max(2) > 0).mean() < 0.7 * covered.mean()  # one of them is away


def test_the_nearer_person_is_in_front(walkers):
    from pose2mesh_blender.core.painter import paint

    body, camera = load_body(), walkers.intrinsics
    mesh = np.array(walkers.vertices(0)[0])
    colours = np.zeros((2 * len(body.faces), 3), np.float32)
    both = np.concatenate([mesh + [0, 0, 4], mesh * 0.5 + [0, 0, 3]])
    colours[len(body.faces):] = 200  # the near, small one is bright
    faces = np.concatenate([body.faces, body.faces + len(mesh)])
    image = np.full((480, 640, 3), 128, np.uint8)
    mask = paint(image, [both], faces, colours, camera)
    x, y = (camera[:2, :2] @ [0, 0] + camera[:2, 2]).astype(int)
    assert image[y, x].max() > 60 and (image[mask > 0].max(1) == 0).any()


def test_overlay_files(tmp_path_factory, tmp_path):
    walkers = make_take(tmp_path_factory.mktemp("short") / "take", 7)
    write_overlay(walkers, None, tmp_path / "o.mp4", tmp_path / "o.png")
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (1280, 480, len(walkers))
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
    assert (tmp_path / "o.png").read_bytes()[:4] == b"\x89PNG" and len(list(tmp_path.iterdir())) == 2


def test_memory_does_not_grow_with_the_length(tmp_path, demo_clip):
    """Peak memory over four times as many frames of the same footage stays within a few megabytes."""
    code = """
import resource, sys, numpy as np
from pathlib import Path
from pose2mesh_blender.core.footage import open_footage
from pose2mesh_blender.core.pipeline import Settings, run
from pose2mesh_blender.core.results import write_result
out = Path(sys.argv[2])
take = run(sys.argv[1], out / "take", Settings(preset="fast", people=1))
write_result(take, out / "r.npz")
print(len(take), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    peaks = {}
    with av.open(str(demo_clip)) as container:
        images = [f.reformat(270, 480).to_ndarray(format="rgb24") for f in container.decode(video=0)][:40]
    for count in (30, 120):
        clip, folder = tmp_path / f"{count}.mp4", tmp_path / f"{count}"
        with av.open(str(clip), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 270, 480, "yuv420p"
            for i in range(count):  # there and back again
                image = images[i % 80 if i % 80 < 40 else 79 - i % 80]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
        done = subprocess.run([sys.executable, "-c", code, str(clip), str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        frames, peaks[count] = map(int, done.stdout.split())
        assert frames == count
    # 90 more frames of images would be 35 MB, of vertices 7 MB.
    assert peaks[120] - peaks[30] < 30, peaks
