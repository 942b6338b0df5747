"""One input and the files that are made of it: what a shell command does, whatever it is called."""
from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .core.errors import Cancelled, ExportError, Pose2MeshError, TakeError
from .core.presets import DEFAULT, FILE_SUFFIXES, PRESETS, ExportOptions, Preset
from .core.terminal import Terminal

if TYPE_CHECKING:
    from .core.body import Body
    from .core.pipeline import Engines, Settings
    from .core.take import Take

BLENDER_FORMATS = (".blend", ".fbx", ".glb", ".usdc", ".abc", ".bvh")
FORMATS = (*BLENDER_FORMATS, ".npz", ".mp4", ".png")


@dataclass(frozen=True)
class ExportSettings:
    """How Blender's formats are written. preset None: a game character where the format can hold one, else exact."""

    preset: str | None = None
    options: ExportOptions = field(default_factory=ExportOptions)
    together: bool | None = None  # None: as the preset has it

    def preset_for(self, path: Path) -> Preset:
        if self.preset is None and path.suffix.lower() in (".usdc", ".abc"):
            return PRESETS["exact"]
        return PRESETS[self.preset or DEFAULT]

    def check(self, outputs: list[Path]) -> None:
        """Refuses, before any work, what the preset does not write."""
        for path in outputs:
            suffix = path.suffix.lower()
            if suffix in BLENDER_FORMATS and suffix != ".blend":
                preset = self.preset_for(path)
                if suffix not in FILE_SUFFIXES[preset.kind]:
                    raise ExportError(f"{path}: the preset {preset.name} does not write {suffix}.",
                                      f"Use one of {' '.join(FILE_SUFFIXES[preset.kind])}, or another preset.")


def check_outputs(outputs: list[Path], allowed: tuple[str, ...] = FORMATS, source: Path | None = None) -> None:
    """Refuses, before any work, what could not be written at the end, and to write over `source`."""
    for path in outputs:
        if path.suffix.lower() not in allowed:
            raise ExportError(f"{path}: unknown kind of output “{path.suffix}”.", f"Use one of: {' '.join(allowed)}.")
        if os.path.isdir(path):
            raise ExportError(f"{path} is a folder.", "Give the name of a file.")
        if source is not None and os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise ExportError(f"{path} is the input and would be overwritten.", "Give the output another name.")
        if path.suffix.lower() in BLENDER_FORMATS and importlib.util.find_spec("bpy") is None:
            raise ExportError(f"{path}: {path.suffix} files are written by Blender's Python module, which is not "
                              "installed.", "In a checkout: pip install '.[blender]'.")
        if path.suffix.lower() in (".mp4", ".png") and importlib.util.find_spec("cv2") is None:
            raise ExportError(f"{path}: pictures need OpenCV, which is not installed.",
                              "Install it with: pip install opencv-python-headless.")
        parents = path.absolute().parents
        probe = next((p for p in parents if os.path.exists(p)), parents[-1])
        try:
            with tempfile.TemporaryFile(dir=probe):
                pass
        except OSError as error:
            raise ExportError(f"{path} cannot be written ({error.strerror or error}).",
                              "Choose a folder you may write to.") from None


def write_outputs(take: Take, outputs: list[Path], body: Body, terminal: Terminal,
                  export: ExportSettings) -> list[str]:
    """Writes every output of a solved take, each whole or not at all; returns lines that say what was written."""
    plain, said = [p for p in outputs if p.suffix.lower() not in BLENDER_FORMATS], []
    for path in plain:
        written = [path]
        if path.suffix.lower() == ".npz" and export.preset == "smpl":
            from .core.smpl_motion import write_smpl

            written = write_smpl(take, path, body)
        elif path.suffix.lower() == ".npz":
            from .core.results import write_result

            write_result(take, path, body)
        else:
            from .core.footage import open_footage
            from .core.overlay import write_overlay

            footage = None if take.footage.get("kind") == "keypoints" else open_footage(take.footage["path"])
            video, still = (path, None) if path.suffix.lower() == ".mp4" else (None, path)
            write_overlay(take, footage, video, still, terminal.progress, terminal.cancelled, body)
        said += [_wrote(p) for p in written]
    blender = [p for p in outputs if p not in plain]
    if blender:
        from .scene.export import save_blend
        from .scene.export_people import export_people, heavy
        from .scene.fresh import fresh_file
        from .scene.takes import people_of

        people = people_of(fresh_file(take, body=body))
        for number, path in enumerate(blender):
            if terminal.cancelled():
                raise Cancelled
            terminal.progress("write", number, len(blender))
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() == ".blend":
                save_blend(path)
                said.append(_wrote(path))
                continue
            preset = export.preset_for(path)
            if size := heavy(path.suffix.lower(), people, preset):
                terminal.say(f"{path} will take up to {size / 1e6:.0f} MB: it holds every vertex of every frame")
            for one in export_people(path, people, preset, export.options, together=export.together):
                said += [_wrote(p) for p in one.paths]
                if one.text:
                    said.append(f"    {one.text}")
        terminal.progress("write", len(blender), len(blender))
    return said


def _wrote(path: Path) -> str:
    return f"  wrote {path} ({path.stat().st_size / 1e6:.1f} MB)"


@dataclass
class Job:
    """One input with its outputs and the folder of its take."""

    source: Path
    outputs: list[Path]
    take: Path | None
    settings: Settings
    engines: Engines | None = None
    export: ExportSettings = field(default_factory=ExportSettings)

    def run(self, terminal: Terminal) -> str:
        """Does it all and returns a summary in words."""
        from .core.batch import take_beside
        from .core.solve_take import body_of
        from .core.take import UnusableTakeError

        check_outputs(self.outputs, source=self.source)
        self.export.check(self.outputs)
        folder = self.take or take_beside(self.outputs[0])
        try:
            take = self._solved(folder, terminal)
        except UnusableTakeError:
            if self.take is not None or not _is_take(folder):
                raise
            shutil.rmtree(folder)  # the unfinished rest of another run, which only this program made
            take = self._solved(folder, terminal)
        except Pose2MeshError:
            if self.take is None and _is_take(folder) and not _worth_keeping(folder):
                shutil.rmtree(folder)
            raise
        said = write_outputs(take, self.outputs, body_of(self.settings), terminal, self.export)
        text = "\n".join([summary(take), *said])
        if self.take is None:
            shutil.rmtree(folder, ignore_errors=True)
        return text

    def _solved(self, folder: Path, terminal: Terminal) -> Take:
        from .core.pipeline import run

        return run(self.source, folder, self.settings, terminal.progress, terminal.cancelled, self.engines)


def _is_take(folder: Path) -> bool:
    return (folder / "take.json").is_file()


def _worth_keeping(folder: Path) -> bool:
    from .core.take import Take

    try:
        take = Take.open(folder)
    except TakeError:
        return False
    return bool(take.people) or bool(take.detected.any() and not take.detected.all())


def summary(take: Take) -> str:
    """What was made, for a person to read."""
    import numpy as np

    seconds = float(take.timestamps[-1] - take.timestamps[0]) if len(take) > 1 else 0.0
    lines = [f"{len(take)} frames ({seconds:.1f} s at {take.fps:g} fps), {len(take.people)} "
             f"{'person' if len(take.people) == 1 else 'people'}"]
    for person in take.people:
        place = take.translation(person)
        there = np.isfinite(place[:, 0])
        joints = take.joints(person)[there]
        if not len(joints):
            lines.append(f"  {take.name(person)}: no frame could be solved")
            continue
        seen = take.keypoints(person)[there][:, :17, 2].mean()
        lines.append(f"  {take.name(person)}: in {there.sum()} frames, {np.median(place[there][:, 2]):.1f} m from the "
                     f"camera, keypoint confidence {seen:.2f}")
    lines += [f"  warning: {text}" for text in take.info.get("warnings", [])]
    return "\n".join(lines)
