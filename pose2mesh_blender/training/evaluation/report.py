"""The measurements as one JSON document, as Markdown tables, inside a model card, and against earlier ones."""
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ...core.errors import AssetError
from ..metrics import Estimate
from . import footage, surface
from .joint_errors import GROUPS

CARD_START, CARD_END = "<!-- evaluation -->", "<!-- /evaluation -->"
TAKE_COLUMNS = {  # name in the results: heading, digits
    "MPJPE": ("MPJPE", 1), "PA-MPJPE": ("PA-MPJPE", 1), "MPVPE": ("MPVPE", 1), "PA-MPVPE": ("PA-MPVPE", 1),
    "acceleration": ("acceleration error", 1), "acceleration ratio": ("of the single frame's", 2),
    "foot slide": ("foot slide", 0), "lag": ("lag, frames", 2), "speed kept %": ("speed kept %", 0),
    "knee bias": ("knees too bent by °", 1), "sides wrong %": ("sides wrong %", 1)}


# -- JSON -------------------------------------------------------------------------------------------------------------
def plain(value: Any, keep_clips: bool = True) -> Any:
    """Results as JSON values: an Estimate becomes {"mean", "ci95", "by clip"}, NaN null; rounded to hundredths.

    Clips are kept for whole-body measures only, so that later runs can be compared clip by clip.
    """
    if isinstance(value, Estimate):
        out = {"mean": plain(value.mean), "ci95": plain(value.half), "clips": len(value.by_clip)}
        return {**out, "by clip": {str(c): plain(v) for c, v in value.by_clip.items()}} if keep_clips else out
    if isinstance(value, dict):
        return {k: plain(v, keep_clips and not k.endswith(("by joint", "by limb"))) for k, v in value.items()}
    if isinstance(value, float):
        return round(value, 2) if math.isfinite(value) else None
    return value


def write_json(path: Path, results: dict) -> None:
    path.write_text(json.dumps(plain(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# -- Markdown ---------------------------------------------------------------------------------------------------------
def text(value: Any, digits: int = 1) -> str:
    """A cell: `12.3 ± 0.4`, or – for nothing."""
    if isinstance(value, Estimate):
        interval = f" ± {value.half:.{digits}f}" if math.isfinite(value.half) else ""
        return f"{text(value.mean, digits)}{interval}"
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"


def table(first: str, columns: list[str], rows: dict[str, list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {first} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|",
            *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())]


def markdown(results: dict) -> str:
    """All tables there are results for."""
    parts = [write(results[key]) for key, write in (("stills", _stills), ("meshes", _meshes), ("takes", _takes),
                                                    ("real", _real), ("footage", _footage)) if key in results]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def _stills(stills: dict) -> list[str]:
    rows = {}
    for name, row in stills.items():
        for how, key in ((name, "lifter"), (f"{name}, as the product solves a still", "solved")):
            if key in row:
                limbs = row[key]["PA-MPJPE by limb"]
                rows[how] = [text(row[key][m]) for m in ("MPJPE", "PA-MPJPE")]
                rows[how] += [text(limbs[g].mean, 0) for g in GROUPS]
    joints = next(iter(stills.values()))["lifter"]["MPJPE"]
    return [f"**One frame.** The lifter's joints on held-out subjects ({len(joints.by_clip)} clips; every number is a "
            "mean over clips with its 95 % interval over clips). mm over the 17 Human3.6M joints, root-relative; PA = "
            "after Procrustes alignment with scale; the last columns are PA by limb.", "",
            *table("input", ["MPJPE", "PA-MPJPE", *GROUPS], rows)]


def _meshes(meshes: dict) -> list[str]:
    digits = [1, 1, 1, 1, 1, 1, 2, 2, 2]
    rows = {name: [text(row[c], d) for c, d in zip(surface.COLUMNS, digits)] for name, row in meshes.items()}
    return ["**The mesh**, from true joints and from what the lifter makes of detector-like keypoints; the same frames "
            "and the same joints for every row. mm; edges: change of length (mean, and the worst 1 % of them) once the "
            "size is right; normals after Procrustes alignment; creases: change of the angle between neighbouring "
            "faces; inside: vertices within another part of the body.", "", *table("", list(surface.COLUMNS), rows)]


def _takes(takes: dict) -> list[str]:
    lines = ["**With time.** Held-out takes of three seconds (rendered ones of 0.8), solved as the product solves a "
             "take, beside the single-frame network. mm; acceleration in mm/frame² at 30 fps; foot slide in mm/s "
             "against the true foot while that stands; lag and the share of true speed kept: wrists and ankles of the "
             "fastest quarter of the takes; knees: where the true one is bent by less than 20°; sides wrong: frames "
             "that would fit better with left and right exchanged.", ""]
    rows = {}
    for source, ways in takes.items():
        for way, row in ways.items():
            rows[f"{source}: {way}"] = [text(row.get(c), d) for c, (_, d) in TAKE_COLUMNS.items()]
    return lines + table("", [heading for heading, _ in TAKE_COLUMNS.values()], rows)


def _real(real: dict) -> list[str]:
    cameras = [c for c in next(iter(real.values())) if c.startswith("camera")]
    limbs = list(next(iter(real.values()))["by limb"])
    rows = {name: [*(text(row.get(c)) for c in cameras), text(row["all"]),
                   *(text(row["by limb"][g].mean, 0) for g in limbs)] for name, row in real.items()}
    return ["**A real person.** One man balancing, 100 frames, four cameras; PA error over 12 limb joints against the "
            "triangulation of OpenPose's keypoints (bones in it vary by 15–20 mm), mm; intervals over quarters of each "
            "camera's take.", "", *table("", [*cameras, "all", *limbs], rows)]


def _footage(rows: dict) -> list[str]:
    digits = [2, 2, 1, 1, 1, 0, 1, 0, 0, 0]
    cells = {name: [text(row.get(c), d) for c, d in zip(footage.COLUMNS, digits)] for name, row in rows.items()}
    return ["**Footage without ground truth**, footage to mesh by the product. Reprojection: % of the person's height; "
            "bone spread: % of length; jitter: acceleration in mm/frame² at 30 fps, the person's own included; foot "
            "slide: mm per second of contact (contacts from the keypoints, for cameras that stand still); sunk and "
            "floating: mm below and, in contact, above the floor.", "", *table("clip", list(footage.COLUMNS), cells)]


# -- card and comparison ----------------------------------------------------------------------------------------------
def write_card(path: Path, tables: str) -> None:
    """Puts the tables between the card's two marks. Raises AssetError when they are missing."""
    card = path.read_text(encoding="utf-8")
    if card.count(CARD_START) != 1 or CARD_END not in card.split(CARD_START)[1]:
        raise AssetError(f"{path} has no place for the tables.", f"Put the lines {CARD_START} and {CARD_END} into it.")
    before, rest = card.split(CARD_START)
    path.write_text(f"{before}{CARD_START}\n{tables}{CARD_END}{rest.split(CARD_END)[1]}", encoding="utf-8")


def changes(results: dict, earlier: dict) -> str:
    """Results minus those of an earlier JSON file, clip by clip, as a table; * where the interval excludes zero."""
    rows = {}
    for name, new, old in _pairs(plain(results), earlier, ""):
        both = {int(c): new[c] - old[c] for c in new if c in old and None not in (new[c], old[c])}
        change = Estimate.of(both)
        sure = abs(change.mean) > change.half
        rows[name] = [text(sum(old[str(c)] for c in both) / max(len(both), 1), 2), text(change, 2), "*" if sure else ""]
    return "\n".join(table("measure", ["earlier", "change", ""], rows)) + "\n"


def _pairs(new: Any, old: Any, name: str):
    if not isinstance(new, dict) or not isinstance(old, dict):
        return
    if "by clip" in new and "by clip" in old:
        yield name, new["by clip"], old["by clip"]
        return
    for key in new:
        if key in old:
            yield from _pairs(new[key], old[key], f"{name}, {key}" if name else key)
