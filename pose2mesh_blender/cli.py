"""The shell's way in: `pose2mesh animate shot.mp4 -o shot.fbx` and its sisters. Thin: argparse, then core and scene."""
from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .core.errors import Cancelled, Pose2MeshError
from .core.presets import DEFAULT, PRESETS, ExportOptions
from .core.terminal import Terminal
from .job import FORMATS, ExportSettings, Job, check_outputs

if TYPE_CHECKING:
    from .core.pipeline import Settings

OK, USER_ERROR, USAGE, CANCELLED = 0, 1, 2, 130
INTRODUCTION = """\
Turns footage of people into animated, textured 3D meshes.

  pose2mesh animate shot.mp4 -o shot.fbx             a video becomes an animated mesh
  pose2mesh animate shot.mp4 -o shot.blend -o overlay.mp4 --people 1
                                                     a Blender file and a film of the result; one person only
  pose2mesh solve keypoints.npz -o result.npz        plain arrays, without Blender
  pose2mesh batch footage/ -o out/ --format fbx      a whole folder
  pose2mesh doctor                                   is everything there that is needed?

`pose2mesh COMMAND --help` explains a command."""

ANIMATE = """\
INPUT is a video, a still image, a folder of images, or a file of keypoints that another program found.
OUT says the format by its name; give -o several times for several files:

  .blend  Blender file: mesh with shape keys, camera with the footage, material     (needs: pip install bpy)
  .fbx .glb  a skinned character for game engines; --preset says for which one       (needs: pip install bpy)
  .usdc .abc  moving points                                                         (needs: pip install bpy)
  .bvh    the skeleton's motion                                                     (needs: pip install bpy)
  .npz    plain arrays, see `pose2mesh solve --help`
  .mp4    the footage with the mesh drawn over it, beside a view from the side
  .png    one picture of the same

Everything found so far is kept in the folder OUT.take beside the first output until all outputs are written: after a
crash or Ctrl-C the same command goes on from there. --take FOLDER keeps the folder for good."""

SOLVE = """\
Writes one RESULT.npz, for P people and T frames, NaN where a person is absent:

  vertices (P,T,6890,3)   metres, relative to the pelvis, camera axes: x right, y down, z forward
  translation (P,T,3)     the pelvis in camera space
  keypoints (P,T,23,3)    pixels and confidence, the first 17 in COCO's order
  joints_h36m17 (P,T,17,3), joints_coco17 (P,T,17,3), joints_smpl24 (P,T,24,3)   relative to the pelvis
  frames, timestamps (T,), intrinsics (3,3), faces (13776,3)

A keypoint file as INPUT: .npz with `keypoints` (T,J,3) or (P,T,J,3) in pixels with confidence, `skeleton` (coco17,
body25, blazepose33, halpe26, wholebody133, h36m17, mpii16, smpl24 or body23), `image_size` (W,H), optional `intrinsics`
(3,3) and `fps`; or a folder of OpenPose JSON files, COCO results JSON, AlphaPose JSON (these need --image-size)."""

BATCH = """\
Makes one result of every video, image, image-sequence folder and keypoint file in FOLDER. Files whose result is there
are skipped, so the same command does only what is missing. Several people go to files of their own or into one, as in
`animate`. A file that fails is reported at the end (and in OUT/report.json) and does not stop the rest."""


# -- commands ---------------------------------------------------------------------------------------------------------
def animate(options: argparse.Namespace, terminal: Terminal) -> int:
    with terminal.working():
        text = Job(options.input, options.output, options.take, _settings(options),
                   export=_export_settings(options)).run(terminal)
    terminal.say(text)
    return OK


def solve(options: argparse.Namespace, terminal: Terminal) -> int:
    check_outputs(options.output, (".npz",))
    return animate(options, terminal)


def batch(options: argparse.Namespace, terminal: Terminal) -> int:
    from .core.batch import REPORT, run_batch
    from .core.pipeline import Engines

    suffix, settings, engines = f".{options.format}", _settings(options), Engines()
    export = _export_settings(options)
    check_outputs([options.output / f"probe{suffix}"])
    export.check([options.output / f"probe{suffix}"])

    def work(source: Path, target: Path) -> str:
        with terminal.working():
            return Job(source, [target], None, settings, engines, export).run(terminal).splitlines()[0]

    outcomes = run_batch(options.input, options.output, suffix, work,
                         lambda n, total, path: terminal.say(f"[{n}/{total}] {path.name}"))
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("input", "result", "seconds", "", title=str(options.output / REPORT))
    for o in outcomes:
        table.add_row(Text(Path(o.input).name), o.state, f"{o.seconds:g}" if o.seconds else "", Text(o.message))
    if not options.quiet:
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    return USER_ERROR if any(o.state == "failed" for o in outcomes) else OK


def doctor(options: argparse.Namespace, terminal: Terminal) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .core.doctor import examine

    checks = examine()
    table, group = Table("", "", "", "", show_header=False, box=None), None
    colours = {"ok": "green", "note": "yellow", "broken": "red"}
    for check in checks:
        table.add_row(check.group if check.group != group else "", check.name,
                      Text(check.level, style=colours[check.level]), Text(check.detail))
        group = check.group
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    broken = [c for c in checks if c.level == "broken"]
    terminal.say(f"{len(broken)} of {len(checks)} checks failed." if broken else "Everything needed is there.")
    return USER_ERROR if broken else OK


def bench(options: argparse.Namespace, terminal: Terminal) -> int:
    from .core import bench as core_bench

    if options.only == "export":
        return _bench_export({}, options, terminal)
    clip = options.clip or core_bench.demo_clip()
    if options.only == "drag":
        drag = core_bench.bench_drag(clip)
        terminal.say("a marker is dragged: its mesh is in the take after {drag_ms:.0f} ms ({drag_processor_ms:.0f} "
                     "ms of processor)".format(**drag))
        return _keep({"drag": drag}, options)
    reference = None
    if importlib.util.find_spec("torch") is not None:
        from .training.reference import one_pass

        reference = one_pass()
    numbers: dict[str, dict] = {"network": core_bench.bench_network(reference)}
    terminal.say("network, one person, one frame: {network_ms:.1f} ms (lifting {lift_ms:.1f}, mesh {mesh_ms:.1f})"
                 .format(**numbers["network"]))
    terminal.say("reference-size network: {reference_ms:.0f} ms; ours is {ratio:.1f} times faster".format(
        **numbers["network"]) if reference else "reference-size network: not measured (needs torch)")
    numbers["clip"] = core_bench.bench_clip(clip, people=options.people)
    terminal.say("{name}: detection alone {detection_ms_per_frame:.1f} ms a frame, footage to meshes "
                 "{end_to_end_ms_per_frame:.1f} ms a frame: {ratio:.2f} times (processor work {processor_ratio:.2f} "
                 "times)".format(name=clip.name, **numbers["clip"]))
    if importlib.util.find_spec("bpy") is not None:
        from .scene.bench import bench_shape_keys

        numbers["blender"] = bench_shape_keys()
        terminal.say("Blender: {frames} frames of shape keys written in {write_s:.2f} s, played at "
                     "{play_ms:.2f} ms a frame".format(**numbers["blender"]))
        return _bench_export(numbers, options, terminal)
    terminal.say("Blender: not measured (needs bpy)")
    return _keep(numbers, options)


def _bench_export(numbers: dict[str, dict], options: argparse.Namespace, terminal: Terminal) -> int:
    from .scene.bench_export import bench_export

    numbers["export"] = bench_export(options.frames, terminal.say)
    return _keep(numbers, options)


def _keep(numbers: dict[str, dict], options: argparse.Namespace) -> int:
    if options.json:
        from .core.files import write_file

        write_file(options.json, json.dumps(numbers, indent=1).encode())
    return OK


def _training(module: str) -> Callable[[list[str]], int]:
    def command(arguments: list[str]) -> int:
        needed = {"train": "torch", "evaluate": "scipy"}[module]
        if importlib.util.find_spec(needed) is None:
            raise Pose2MeshError(f"`pose2mesh {module}` needs {needed}, which is not installed.",
                                 "In a checkout: pip install '.[train]'.")
        return importlib.import_module(f".training.{module}", __package__).main(arguments) or OK

    return command


def _export_settings(options: argparse.Namespace) -> ExportSettings:
    if not hasattr(options, "export"):
        return ExportSettings()
    return ExportSettings(options.export, ExportOptions(
        in_place=options.in_place, simplify=options.simplify, correctives=options.correctives, budget=options.budget,
        largest=options.largest),
        options.together)


def _settings(options: argparse.Namespace) -> Settings:
    from .core.pipeline import Settings

    names = set(Settings.__dataclass_fields__)
    return Settings.from_dict({k: v for k, v in vars(options).items() if k in names})


# -- arguments --------------------------------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    """The command line of `pose2mesh`."""
    raw = argparse.RawDescriptionHelpFormatter
    main_parser = argparse.ArgumentParser("pose2mesh", description=INTRODUCTION, formatter_class=raw)
    main_parser.add_argument("--version", action="version", version=f"pose2mesh {_version()}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    common.add_argument("--debug", action="store_true", help="show where an unexpected error came from")
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run, text: str, epilog: str = "", parents=(common,)) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog,
                                      formatter_class=raw, parents=list(parents))
        command.set_defaults(run=run)
        return command

    for name, run, text, epilog in (
            ("animate", animate, "footage to Blender files, FBX, glTF, USD, Alembic, arrays, pictures", ANIMATE),
            ("solve", solve, "footage or keypoints to plain arrays, without Blender", SOLVE)):
        command = add(name, run, text, epilog)
        command.add_argument("input", type=Path, metavar="INPUT", help="video, image, folder of images, keypoint file")
        command.add_argument("-o", "--output", type=Path, action="append", required=True, metavar="OUT",
                             help="file to write; its name says the format; repeatable")
        command.add_argument("--take", type=Path, metavar="FOLDER",
                             help="keep the working data here (and go on from it)")
        _add_settings(command)
        if name == "animate":
            _add_export(command)
    command = add("batch", batch, "every footage file of a folder", BATCH)
    command.add_argument("input", type=Path, metavar="FOLDER", help="the folder with the footage")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the results")
    command.add_argument("--format", default="fbx", choices=[f[1:] for f in FORMATS], help="default: %(default)s")
    _add_settings(command)
    _add_export(command)
    add("doctor", doctor, "check this installation: versions, devices, engines, bundled files")
    command = add("bench", bench, "measure speed on this machine, as ratios within one run")
    command.add_argument("--clip", type=Path, help="footage to measure on (default: the bundled demo clip)")
    command.add_argument("--people", type=int, metavar="N", help="as in animate")
    command.add_argument("--only", choices=("drag", "export"), help="measure only this")
    command.add_argument("--frames", type=int, default=1000, metavar="N", help="of the exports (default: %(default)s)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    for name, text in (("train", "train the network (needs torch)"),
                       ("evaluate", "measure the network's errors")):
        commands.add_parser(name, help=text, add_help=False)
    return main_parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    people = command.add_argument_group("which frames and people")
    people.add_argument("--people", type=int, metavar="N", help="keep the N most prominent people (largest, longest, "
                        "surest); default: everybody seen in 10 %% of the frames or for half a second, at most 8")
    people.add_argument("--start", type=int, default=0, metavar="N", help="first frame, from 0")
    people.add_argument("--end", type=int, metavar="N", help="last frame (inclusive)")
    people.add_argument("--step", type=int, default=1, metavar="N", help="every Nth frame")
    camera = command.add_argument_group("camera").add_mutually_exclusive_group()
    camera.add_argument("--fov", type=float, metavar="DEGREES", help="field of view across the longer side (default: "
                        "55, a phone's main lens; too wide or too narrow makes the person too near or too far)")
    camera.add_argument("--focal", type=float, metavar="PIXELS", help="focal length in pixels, instead of --fov")
    quality = command.add_argument_group("quality")
    quality.add_argument("--quality", dest="preset", choices=("accurate", "fast"), default="accurate",
                         help="how carefully people are looked for (default: %(default)s)")
    quality.add_argument("--smooth", type=float, default=0.5, metavar="0..1", help="0 = raw, 1 = very calm "
                         "(default: %(default)s)")
    quality.add_argument("--no-foot-lock", dest="feet", action="store_false", help="leave feet that stand where each "
                         "frame puts them, instead of holding them in place on the floor")
    quality.add_argument("--free-shape", action="store_true", help="the body's shape may change slowly over the take; "
                         "for people of whom other parts come into sight, whose shape may then breathe (default: one)")
    quality.add_argument("--height", type=float, metavar="METRES", help="the person's height, if you know it")
    quality.add_argument("--body", metavar="PATH", help="your own SMPL_*.pkl or .npz")
    quality.add_argument("--device", default="auto", help="auto, cpu, cuda, mps, ... (default: %(default)s)")
    quality.add_argument("--threads", type=int, default=0, metavar="N", help="threads of the processor for each "
                         "network (default: 0, as many as help)")
    files = command.add_argument_group("keypoint files that do not say (JSON)")
    files.add_argument("--image-size", type=int, nargs=2, metavar=("W", "H"), help="size of the picture in pixels")
    files.add_argument("--fps", type=float, help="frames per second (default: 30)")


def _add_export(command: argparse.ArgumentParser) -> None:
    export = command.add_argument_group("files for other programs (docs/export.md says which preset for which engine)")
    export.add_argument("--preset", dest="export", choices=tuple(PRESETS), metavar="PRESET",
                        help=f"{', '.join(PRESETS)} (default: {DEFAULT} for .fbx, .glb and .bvh, exact for .usdc and "
                        ".abc); smpl also for .npz")
    export.add_argument("--in-place", action="store_true", help="the character's root bone does not move")
    export.add_argument("--simplify", type=float, default=0.0, metavar="MM", help="leave out frames as long as no "
                        "bone is off by more than this between keys")
    export.add_argument("--correctives", type=float, default=0.0, metavar="MM", help="shape keys that bring the "
                        "skinned mesh within this of the exact one, where it is not")
    export.add_argument("--budget", type=float, default=1.0, metavar="MM", help="mean error of the preset compact "
                        "(default: %(default)s)")
    export.add_argument("--largest", type=float, default=5.0, metavar="MM", help="how far a vertex of any frame may be "
                        "off in the preset compact; 0: any distance (default: %(default)s)")
    export.add_argument("--together", action=argparse.BooleanOptionalAction, help="several people in one file, or one "
                        "file for each (OUT_01, OUT_02, ...); default: together with the preset exact, else one each")


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("pose2mesh-blender")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def main(argv: list[str] | None = None) -> int:
    """Runs one command; exit code 0 done, 1 an error the user can cure, 2 wrong usage, 130 cancelled."""
    arguments = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal's encoding lacks must not end a finished run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in arguments
    try:
        if arguments[:1] in (["train"], ["evaluate"]):
            return _training(arguments[0])([a for a in arguments[1:] if a != "--debug"])
        options = parser().parse_args(arguments)
        return options.run(options, Terminal(options.quiet))
    except Pose2MeshError as error:
        if debug:
            raise
        print(f"pose2mesh: {' '.join(str(error).split())}", file=sys.stderr)
        return USER_ERROR
    except (Cancelled, KeyboardInterrupt):
        print("pose2mesh: cancelled. Finished frames are kept: the same command goes on from there.", file=sys.stderr)
        return CANCELLED
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USER_ERROR
    except Exception as error:
        if debug:
            raise
        print(f"pose2mesh: unexpected failure: {type(error).__name__}: {' '.join(str(error).split())}. This is a bug; "
              "run again with --debug and report what it prints.", file=sys.stderr)
        return USER_ERROR


if __name__ == "__main__":
    sys.exit(main())
