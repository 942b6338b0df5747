"""`pose2mesh train`: PoseNet, then MeshNet, then export. Stops and resumes at any point."""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.body import Body
    from .datasets.pairs import Pairs
    from .synthetic import Motion


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="pose2mesh train", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trains the network on synthetic people in mocap poses, and on datasets that you have a licence "
                    "for. Run it again to go on where it stopped.",
        epilog="Example, two trainings side by side on two cores, then the files that ship:\n"
               "  pose2mesh train posenet --mocap cmu.npz mesh2motion.npz --minutes 95\n"
               "  pose2mesh train meshnet --mocap cmu.npz mesh2motion.npz --minutes 90\n"
               "  pose2mesh train export --to addon_models\n"
               "Your own data, on all GPUs of this machine (docs/training.md):\n"
               "  torchrun --nproc_per_node gpu -m pose2mesh_blender.cli train posenet --data amass:AMASS "
               "--data h36m:H36M --smpl SMPL_NEUTRAL.pkl")
    p.add_argument("stage", choices=("posenet", "meshnet", "export"))
    p.add_argument("--mocap", type=Path, nargs="+", default=[], help="motion in SMPL's 24 joints (docs/network.md)")
    p.add_argument("--data", action="append", default=[], metavar="FORMAT:PATH", help="your own licensed data; "
                   "amass, h36m, coco, 3dpw, surreal or muco; may be given several times (docs/training.md)")
    p.add_argument("--smpl", type=Path, metavar="FILE", help="the SMPL file that --data was fitted with (.pkl, .npz); "
                   "pictures need it (default: --body)")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints are kept (default: runs)")
    p.add_argument("--minutes", type=float, default=90, help="training time in all, over all sessions (default: 90)")
    p.add_argument("--start-from", type=Path, metavar="FILE", help="begin a new run with these weights (.safetensors)")
    p.add_argument("--rate", type=float, default=1e-3, help="highest learning rate (default: 0.001)")
    p.add_argument("--device", default="auto", help="auto, cpu, cuda, rocm or mps (default: %(default)s)")
    p.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--body", type=Path, help="train on your own SMPL body (.pkl, .npz) instead of the bundled one")
    p.add_argument("--to", type=Path, default=Path("addon_models"), help="folder for the exported network")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the process's exit code."""
    args = parser().parse_args(argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(args.threads))  # numpy draws the samples
    import torch

    from ..core.body import load_body
    from ..core.network.torch_engine import read_weights
    from ..core.smpl_file import read_smpl, smpl_to_body
    from . import parallel
    from .datasets.pairs import PairSampler
    from .export import export, load_runs
    from .train_meshnet import train_meshnet
    from .train_posenet import train_posenet

    torch.set_num_threads(args.threads)
    body = smpl_to_body(read_smpl(args.body)) if args.body else load_body()
    posenet, meshnet = args.runs / "posenet", args.runs / "meshnet"
    if args.stage == "export":
        export(*load_runs(posenet, meshnet, body), body, args.to)
        print(f"Wrote the network to {args.to}. Run python -m pose2mesh_blender.training.build_index next.")
        return 0
    if not args.mocap and not args.data:
        parser().error("training needs --mocap or --data")
    device = parallel.start(args.device)
    smpl = body if args.body else None
    if args.smpl:
        smpl = smpl_to_body(read_smpl(args.smpl))
    motion, test, pairs = read_data(args.mocap, args.data, body, smpl)
    first = read_weights(args.start_from, body) if args.start_from else (None, None, None)
    if args.stage == "posenet":
        pictures = PairSampler(body, pairs, args.seed + parallel.APART * parallel.rank()) if pairs else None
        if pictures is not None:
            _say(f"{len(pictures)} of {len(pairs)} pictures have a fit that lies on their keypoints.")
        train_posenet(body, motion, test, posenet, args.minutes, seed=args.seed, rate=args.rate,
                      start=first[:2] if first[0] else None, pictures=pictures or None, device=device)
    else:
        train_meshnet(body, motion, test, posenet, meshnet, args.minutes, seed=args.seed, rate=args.rate,
                      start=first[2], device=device)
    parallel.stop()
    return 0


def read_data(mocap: list[Path], data: list[str], body: Body, smpl: Body | None) -> tuple[Motion, Motion, Pairs | None]:
    """Motion to train on, motion that is held out, and pictures of --data. Raises DataError where one motion lacks."""
    from . import datasets
    from .synthetic import load_motion

    if not data:
        return load_motion(mocap, body, False), load_motion(mocap, body, True), None
    sources = [datasets.parse(text) for text in data]
    loaded = datasets.load(sources, body, smpl)
    _say(f"{', '.join(data)}: {loaded.seconds / 60:.1f} minutes of motion, "
         f"{len(loaded.pairs) if loaded.pairs else 0} pictures.")
    if loaded.left_out:
        _say(f"{loaded.left_out} pictures are left out: give the SMPL file that they were fitted with (--smpl).")
    train, test = (datasets.merged([load_motion(mocap, body, held_out) if mocap else None, part], body)
                   for held_out, part in ((False, loaded.train), (True, loaded.test)))
    if train is None or test is None:
        lacks = "to train on" if train is None else "is held out to measure with"
        raise datasets.DataError(f"{', '.join(data)}: nothing {lacks}.",
                                 "Add data of other people, or --mocap with the CMU motion.")
    return train, test, loaded.pairs


def _say(text: str) -> None:
    """Once, whatever number of processes."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr, flush=True)
