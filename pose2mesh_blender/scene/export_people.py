"""People to files by preset: who goes into which file, and what the result costs in size and error."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..core.batch import numbered
from ..core.errors import ExportError
from ..core.pca import Pca
from ..core.presets import FILE_SUFFIXES, ExportOptions, Preset
from . import takes
from .export import export, export_compact, forecast
from .skinned import export_skinned
from .still import export_vat

HEAVY = 50_000_000  # bytes from which a user is warned


@dataclass(frozen=True)
class Written:
    """Files of one call, the first being the one that was asked for, and what to say about them."""

    paths: list[Path]
    text: str = ""


def export_people(path: Path, objects: Sequence[bpy.types.Object], preset: Preset, options: ExportOptions, *,
                  fps: float | None = None, together: bool | None = None) -> list[Written]:
    """Writes people to `path`; several go to one file each (`shot_01.fbx`, ...), or `together` into one.

    fps: default is the footage's. together: default is the preset's; textures and BVH are one each always. Raises
    ExportError.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FILE_SUFFIXES[preset.kind]:
        raise ExportError(f"{path}: the preset {preset.label} does not write {suffix or 'files without a suffix'}.",
                          f"Use one of {', '.join(FILE_SUFFIXES[preset.kind])}, or another preset.")
    if not objects or not all(map(takes.is_person, objects)):
        raise ExportError(f"{path}: there is no Pose2Mesh person to export.", "Animate footage first, or select one.")
    together = preset.shares(suffix) and (preset.together if together is None else together)
    if len(objects) > 1 and not together:
        return [_write(numbered(path, number), [ob], preset, options, fps) for number, ob in enumerate(objects, 1)]
    return [_write(path, objects, preset, options, fps)]


def heavy(suffix: str, objects: Sequence[bpy.types.Object], preset: Preset) -> int:
    """Bytes to warn of before an export; 0 when it is light. suffix: ".fbx", ..."""
    if preset.kind != "exact" or suffix not in FILE_SUFFIXES["exact"]:
        return 0
    size = forecast(suffix, objects)
    return size if size >= HEAVY else 0


def _write(path: Path, objects: Sequence[bpy.types.Object], preset: Preset, options: ExportOptions,
           fps: float | None) -> Written:
    if preset.kind == "skinned":
        fitted = export_skinned(path, objects, preset, options, fps=fps)
        texts = [f"{ob.name}: skeleton off by {person.distances}" + (
            f", {len(person.shapes.shapes)} correctives" if person.shapes else "")
            for ob, person in zip(objects, fitted)]
        return Written([path], "; ".join(texts))
    if preset.kind == "compact":
        mixed = export_compact(path, objects, options, fps=fps)
        return Written([path], "; ".join(f"{ob.name}: {_said(one, options)}" for ob, one in zip(objects, mixed)))
    if preset.kind == "vat":
        return Written(export_vat(path, objects[0], options, fps=fps))
    if (options.first, options.last, options.step) != (None, None, 1):
        raise ExportError(f"{path}: the preset {preset.label} always writes every frame.",
                          "Leave out the range and the step, or use the preset Compact.")
    export(path, objects, fps=fps)
    return Written([path])


def _said(found: Pca, options: ExportOptions) -> str:
    """What mixed shapes cost, and whether that is more than was asked for."""
    text = f"{len(found.shapes)} shapes, off by {found.error}"
    if found.error.within(options.budget, options.largest):
        return text
    asked = f"{options.budget:g} mm on average" + (f" and {options.largest:g} mm at most" if options.largest else "")
    return f"{text}, more than the {asked} that were asked for: {len(found.shapes)} shapes are the most"
