"""`pose2mesh train`: PoseNet, then MeshNet, then export. Stops and resumes at any point."""
from __future__ import annotations

import argparse
import os
from pathlib import Path


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="pose2mesh train", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Trains the network on synthetic people in mocap poses. Run it again to go on where it stopped.",
        epilog="Example, two trainings side by side on two cores, then the files that ship:\n"
               "  pose2mesh train posenet --mocap cmu.npz mesh2motion.npz --minutes 95\n"
               "  pose2mesh train meshnet --mocap cmu.npz mesh2motion.npz --minutes 90\n"
               "  pose2mesh train export --to addon_models")
    p.add_argument("stage", choices=("posenet", "meshnet", "export"))
    p.add_argument("--mocap", type=Path, nargs="+", default=[], help="motion in SMPL's 24 joints (docs/network.md)")
    p.add_argument("--runs", type=Path, default=Path("runs"), help="where checkpoints are kept (default: runs)")
    p.add_argument("--minutes", type=float, default=90, help="training time in all, over all sessions (default: 90)")
    p.add_argument("--start-from", type=Path, metavar="FILE", help="begin a new run with these weights (.safetensors)")
    p.add_argument("--rate", type=float, default=1e-3, help="highest learning rate (default: 0.001)")
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
    from .export import export, load_runs
    from .synthetic import load_motion
    from .train_meshnet import train_meshnet
    from .train_posenet import train_posenet

    torch.set_num_threads(args.threads)
    body = smpl_to_body(read_smpl(args.body)) if args.body else load_body()
    posenet, meshnet = args.runs / "posenet", args.runs / "meshnet"
    if args.stage == "export":
        export(*load_runs(posenet, meshnet, body), body, args.to)
        print(f"Wrote the network to {args.to}. Run python -m pose2mesh_blender.training.build_index next.")
        return 0
    if not args.mocap:
        parser().error("training needs --mocap")
    motion, test = (load_motion(args.mocap, body, held_out) for held_out in (False, True))
    first = read_weights(args.start_from, body) if args.start_from else (None, None)
    if args.stage == "posenet":
        train_posenet(body, motion, test, posenet, args.minutes, seed=args.seed, rate=args.rate, start=first[0])
    else:
        train_meshnet(body, motion, test, posenet, meshnet, args.minutes, seed=args.seed, rate=args.rate,
                      start=first[1])
    return 0
