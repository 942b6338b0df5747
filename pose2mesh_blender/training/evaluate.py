"""`pose2mesh evaluate`: the network, and the product around it, on everything we can measure them on."""
from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.body import Body, load_body
from ..core.errors import Pose2MeshError
from ..core.network.engine import Network, OnnxEngine, load_network
from ..core.smpl_file import read_smpl, smpl_to_body
from .baselines import load_baselines
from .evaluation.conditions import BY_NAME, CLEAN, NOISY, STANDING, HeldOut
from .evaluation.footage import measure_footage
from .evaluation.real import measure_views, read_views
from .evaluation.report import changes, markdown, write_card, write_json
from .evaluation.sheets import still_sheets, take_sheets
from .evaluation.shots import read_rendered
from .evaluation.single import measure_meshes, measure_stills
from .evaluation.takes import SINGLE, as_take, frame_by_frame, measure_takes
from .synthetic import Motion, load_motion

SEED = 7


@dataclass(frozen=True)
class Size:
    """How much is measured: frames of every clip that are lifted, solved as stills and meshed; every how manieth clip
    gives a take, with a detector's errors and without (0 = none)."""

    lifted: int
    solved: int
    meshed: int
    takes: int
    clean_takes: int


FULL, QUICK = Size(12, 4, 2, 1, 3), Size(6, 1, 1, 4, 0)
WORK = Path("runs/evaluation")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="pose2mesh evaluate", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures the shipped network, and the product around it.",
        epilog="Example:\n  pose2mesh evaluate --mocap cmu.npz --real four_cameras.npz --json results.json\n"
               "Is a new network better? Same data, clip by clip:\n"
               "  pose2mesh evaluate --mocap cmu.npz --weights runs/second/export --against results.json")
    data = p.add_argument_group("what to measure on")
    data.add_argument("--mocap", type=Path, nargs="+", default=[], help="motion; only its held-out subjects are used")
    data.add_argument("--data", action="append", default=[], metavar="FORMAT:PATH", help="the held-out people of your "
                      "own licensed data, as for `pose2mesh train` (docs/training.md)")
    data.add_argument("--smpl", type=Path, metavar="FILE", help="the SMPL file that --data was fitted with")
    data.add_argument("--rendered", type=Path, metavar="FILE", help="what our detectors said of rendered held-out "
                      "people (python -m pose2mesh_blender.training.detections --held-out)")
    data.add_argument("--real", type=Path, metavar="FILE",
                      help="four-camera check (.npz with joints2d_px, joints3d_world_m, K, R_w2c)")
    data.add_argument("--real-videos", type=Path, nargs="+", default=[], metavar="VIDEO",
                      help="that check's own footage, in the cameras' order: our detectors and BlazePose on it, too")
    data.add_argument("--footage", type=Path, nargs="+", default=[], metavar="VIDEO",
                      help="footage without ground truth")
    how = p.add_argument_group("how")
    how.add_argument("--weights", type=Path, metavar="FOLDER", help="another network, before it is shipped")
    how.add_argument("--baseline", type=float, nargs="?", const=3.0, metavar="MINUTES", help="also measure ridge "
                     "regression and an MLP from joints to a skinned body; what is not in --work yet is fitted, the "
                     "MLP for so much processor time (default: 3)")
    how.add_argument("--ablation", type=float, nargs="?", const=8.0, metavar="MINUTES", help="instead of all that, "
                     "train and compare the paper's designs for so much processor time each (default: 8); needs torch")
    how.add_argument("--quick", action="store_true", help="fewer frames: wider intervals")
    how.add_argument("--work", type=Path, default=WORK, metavar="FOLDER",
                     help="detections and fitted baselines are kept here (default: %(default)s)")
    out = p.add_argument_group("output")
    out.add_argument("--json", type=Path, metavar="FILE", help="write everything here, also by joint and by clip")
    out.add_argument("--card", type=Path, metavar="FILE", help="put the tables into this MODEL_CARD.md")
    out.add_argument("--sheets", type=Path, metavar="FOLDER", help="write pictures of the best, median and worst 5 %%")
    out.add_argument("--against", type=Path, metavar="FILE", help="print the change against an earlier --json file")
    return p


def main(argv: list[str] | None = None) -> int:
    """Returns the process's exit code."""
    args = parser().parse_args(argv)
    if not (args.mocap or args.data or args.real or args.rendered or args.footage):
        parser().error("nothing to measure: give --mocap, --data, --rendered, --real or --footage")
    if args.real_videos and not args.real:
        parser().error("--real-videos needs --real")
    earlier = _read_earlier(args.against) if args.against else None
    network = load_network("cpu") if args.weights is None else OnnxEngine("cpu", args.weights)
    if args.ablation is not None:
        return _ablation(network, args)
    results = measure(network, args)
    tables = markdown(results)
    print(tables)
    if earlier is not None:
        print(changes(results, earlier))
    if args.json:
        write_json(args.json, results)
    if args.card:
        write_card(args.card, tables)
    return 0


def measure(network: Network, args: argparse.Namespace) -> dict:
    """Everything that was asked for; see the parts of `evaluation`."""
    body, results, size = load_body(), {}, QUICK if args.quick else FULL
    ways = {"whole take": as_take(network), SINGLE: frame_by_frame(network)}
    takes: dict[str, dict] = {}
    say = _Clock()
    if args.mocap or args.data:
        held_out = HeldOut(body, _motion(args, body, held_out=True))
        say("read the motion")
        results["stills"] = measure_stills(network, held_out, size.lifted, size.solved, SEED)
        say("single frames")
        baselines = {} if args.baseline is None else load_baselines(
            body, network, args.work, args.baseline, lambda: _motion(args, body, held_out=False))
        noisy = BY_NAME[NOISY]
        results["meshes"] = measure_meshes(network, body, held_out.stills(noisy, size.meshed, SEED), baselines)
        say("meshes")
        for name, condition, every in (("clean", CLEAN, size.clean_takes), ("detector-like", NOISY, size.takes),
                                       ("standing", STANDING, size.takes)):
            if every:
                shots = held_out.takes(BY_NAME[condition], SEED)
                takes[name] = measure_takes(ways, body, shots.chosen(np.arange(0, len(shots), every)))
                say(f"takes, {name}")
        if args.sheets:
            still_sheets(args.sheets, "stills", network, body, held_out.stills(noisy, FULL.lifted, SEED))
            take_sheets(args.sheets, "takes", ways["whole take"], body, held_out.takes(noisy, SEED))
            say("sheets")
    if args.rendered:
        rendered = read_rendered(args.rendered, body)
        takes["rendered people, our detectors"] = measure_takes(ways, body, rendered)
        say("rendered people")
        if args.sheets:
            take_sheets(args.sheets, "rendered", ways["whole take"], body, rendered)
            say("their sheets")
    if takes:
        results["takes"] = takes
    if args.real:
        results["real"] = measure_views(network, read_views(args.real), args.real_videos, args.work)
        say("real views")
    if args.footage:
        results["footage"] = measure_footage(network, body, args.footage, args.work)
        say("footage")
    return results


def _motion(args: argparse.Namespace, body: Body, held_out: bool) -> Motion:
    """The held-out or the training part of --mocap and --data."""
    if not args.data:
        return load_motion(args.mocap, body, held_out, thin=not held_out)
    from .train import read_data

    smpl = smpl_to_body(read_smpl(args.smpl)) if args.smpl else None
    return read_data(args.mocap, args.data, body, smpl)[int(held_out)]


def _ablation(network: Network, args: argparse.Namespace) -> int:
    from . import ablation

    if not args.mocap and not args.data:
        parser().error("--ablation needs --mocap or --data")
    body = load_body()
    motion, held_out = (_motion(args, body, part) for part in (False, True))
    results = ablation.measure(body, network, motion, held_out, args.ablation, args.work / "ablation")
    print(ablation.markdown(results))
    if args.json:
        write_json(args.json, results)
    return 0


class _Clock:
    """Says on stderr what took how long."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        print(f"{what}: {now - self._last:.0f} s", file=sys.stderr, flush=True)
        self._last = now


def _read_earlier(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Pose2MeshError(f"{path} is not an earlier evaluation ({error}).",
                             "Give a file written by --json.") from error
