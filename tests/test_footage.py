"""Footage of every kind is read exactly, and what cannot be read is refused with the file's name and a cure."""
from __future__ import annotations

import shutil
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pose2mesh_blender.core.errors import FootageError
from pose2mesh_blender.core.footage import natural_key, open_footage

DEMO = Path(__file__).parent / "data" / "demo" / "demo.mp4"


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Grey level 20 + 8 * index, and a white top-left corner that shows which way is up."""
    image = np.full((height, width, 3), 20 + 8 * index, np.uint8)
    image[:height // 4, :width // 4] = 255
    return image


def level(image: np.ndarray) -> int:
    return round((float(np.median(image)) - 20) / 8)


def write_video(path: Path, stamps: list[int], width=64, height=48, codec="libx264", time_base=Fraction(1, 1000),
                options=None, gop=8) -> Path:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.codec_context.time_base = stream.time_base = time_base
        stream.codec_context.gop_size = gop
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_image(path: Path, image: np.ndarray, codec: str = "png", pix_fmt: str = "rgb24") -> Path:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(codec, rate=1)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = pix_fmt
        frame = av.VideoFrame.from_ndarray(image, format="rgba" if image.shape[2] == 4 else "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def set_rotation(path: Path, degrees: int) -> None:
    """Writes a display matrix into an MP4's track header, as phones do."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of header
    matrix = [cos << 16, sin << 16, 0, (-sin) << 16, cos << 16, 0, 0, 0, 1 << 30]
    data[at:at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)


def test_demo_clip():
    footage = open_footage(DEMO)
    assert (footage.kind, footage.width, footage.height) == ("video", 540, 960)
    assert (footage.fps, footage.frame_count) == (60, 100)
    frames = list(footage.frames(start=95))
    assert [f.index for f in frames] == [95, 96, 97, 98, 99]
    assert frames[0].timestamp == pytest.approx(95 / 60)
    assert frames[0].image.shape == (960, 540, 3) and frames[0].image.dtype == np.uint8


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".webm", "libvpx-vp9")])
def test_variable_rate_keeps_times_and_seeks_exactly(tmp_path, suffix, codec):
    stamps = [500, 533, 567, 667, 767, 800, 1000, 1033, 1040, 1300, 1333, 1367, 1400, 1433, 1500, 1533, 1600]
    footage = open_footage(write_video(tmp_path / f"vfr{suffix}", stamps, codec=codec, gop=5))
    assert footage.frame_count == len(stamps)
    times = [(s - 500) / 1000 for s in stamps]
    frames = list(footage.frames())
    assert [f.timestamp for f in frames] == pytest.approx(times, abs=1e-3)
    assert [level(f.image) for f in frames] == list(range(len(stamps)))
    for start in range(len(stamps)):
        some = list(footage.frames(start, min(start + 6, len(stamps) - 1), 3))
        assert [f.index for f in some] == [i for i in (start, start + 3, start + 6) if i < len(stamps)]
        assert [level(f.image) for f in some] == [f.index for f in some]
        assert some[0].timestamp == pytest.approx(times[start], abs=1e-3)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_metadata(tmp_path, degrees):
    path = write_video(tmp_path / "phone.mp4", [0, 40, 80])
    set_rotation(path, degrees)
    footage = open_footage(path)
    assert (footage.width, footage.height) == ((64, 48) if degrees % 180 == 0 else (48, 64))
    image = next(iter(footage.frames())).image
    assert image.shape[:2] == (footage.height, footage.width)
    expected = np.rot90(picture(0, 64, 48), -degrees // 90)  # the file asks for a clockwise turn
    assert np.abs(image.astype(int) - expected).mean() < 4


def test_odd_size_and_odd_time_base(tmp_path):
    stamps = [i * 1001 for i in range(10)]
    path = write_video(tmp_path / "odd.mkv", stamps, 63, 47, "ffv1", Fraction(1, 24000))
    footage = open_footage(path)
    assert (footage.width, footage.height, footage.frame_count) == (63, 47, 10)
    assert [f.timestamp for f in footage.frames()] == pytest.approx([s / 24000 for s in stamps], abs=1.1e-3)


def test_stream_without_time_stamps(tmp_path):
    path = write_video(tmp_path / "raw.h264", list(range(0, 330, 33)))
    footage = open_footage(path)
    assert footage.frame_count == 10
    assert [(f.index, level(f.image)) for f in footage.frames(4, 8, 2)] == [(4, 4), (6, 6), (8, 8)]


def test_still_image_and_alpha(tmp_path):
    rgba = np.full((21, 33, 4), 200, np.uint8)
    rgba[..., 3] = 0
    rgba[:, 16:, 3] = 255
    footage = open_footage(write_image(tmp_path / "cut out %03d é.png", rgba, pix_fmt="rgba"))
    assert (footage.kind, footage.width, footage.height, footage.frame_count) == ("image", 33, 21, 1)
    frame = next(iter(footage.frames()))
    assert frame.image[0, 0].max() == 0 and frame.image[0, 32].min() == 200


def test_folder_of_images_in_natural_order(tmp_path):
    for index in (10, 2, 1, 9):
        write_image(tmp_path / f"shot{index}.png", picture(index, 40, 30))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._shot1.png").write_bytes(b"Finder's own")
    footage = open_footage(tmp_path)
    assert (footage.kind, footage.frame_count, footage.fps) == ("sequence", 4, 24.0)
    assert [(f.index, level(f.image)) for f in footage.frames()] == [(0, 1), (1, 2), (2, 9), (3, 10)]
    assert [f.timestamp for f in footage.frames(2)] == pytest.approx([2 / 24, 3 / 24])
    write_image(tmp_path / "shot11.png", picture(0, 20, 30))
    with pytest.raises(FootageError, match=r"shot11\.png is 20 x 30, but shot1\.png is 40 x 30"):
        list(open_footage(tmp_path).frames())


def test_identity_follows_the_content(tmp_path):
    moved = tmp_path / "elsewhere" / "renamed.mp4"
    moved.parent.mkdir()
    shutil.copy(DEMO, moved)
    assert open_footage(moved).identity() == open_footage(DEMO).identity()
    other = write_video(tmp_path / "other.mp4", [0, 40])
    assert open_footage(other).identity() != open_footage(DEMO).identity()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for index in range(3):
            write_image(tmp_path / folder / f"{index}.png", picture(index, 16, 16))
    assert open_footage(tmp_path / "a").identity() == open_footage(tmp_path / "b").identity()


def test_truncated_video_gives_what_decodes(tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(DEMO.read_bytes()[:150_000])  # its index is at the front
    footage = open_footage(path)
    frames = list(footage.frames())
    assert 10 < footage.frame_count < 100
    assert len(frames) == footage.frame_count and frames[-1].index == footage.frame_count - 1


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_refusals_name_the_file_and_a_cure(tmp_path, capfd):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam,\nthis is not a film.\n")
    (tmp_path / "letter.txt").write_text("plain text\n")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "noise.mov").write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())
    no_index = write_video(tmp_path / "plain.mp4", list(range(0, 400, 40)))
    (tmp_path / "cut.mp4").write_bytes(no_index.read_bytes()[:600])
    (tmp_path / "broken.png").write_bytes(write_image(tmp_path / "whole.png", picture(1, 64, 64)).read_bytes()[:40])
    write_sound(tmp_path / "voice.wav")
    (tmp_path / "nothing").mkdir()
    cases = {"missing.mp4": "does not exist", "empty.mp4": "is empty", "letter.mp4": "is a text file",
             "letter.txt": "is a text file", "list.m3u8": "is a text file", "noise.mov": "damaged",
             "cut.mp4": "damaged", "broken.png": "damaged", "voice.wav": "sound only", "nothing": "holds no images"}
    for name, words in cases.items():
        with pytest.raises(FootageError, match=words) as caught:
            open_footage(tmp_path / name)
        message = str(caught.value)
        assert name in message and caught.value.cure and "\n" not in message, message
    assert "".join(capfd.readouterr()) == ""


def test_frames_outside_the_footage_are_refused():
    footage = open_footage(DEMO)
    for arguments in ((100,), (-1,), (5, 4), (0, 5, 0)):
        with pytest.raises(FootageError):
            footage.frames(*arguments)
    assert [f.index for f in footage.frames(98, 5000)] == [98, 99]


def test_natural_key():
    names = ["b", "a10", "a2", "2", "10", "a²", "A1"]
    assert sorted(names, key=natural_key) == ["2", "10", "A1", "a2", "a10", "a²", "b"]
