#!/usr/bin/env python3
"""Build the zips that Blender installs: dist/pose2mesh_blender-<version>-<platform>.zip. Standard library only.

    python build_addon.py                                       # one zip per platform
    python build_addon.py --platform linux-x64 --python 3.14    # for a Blender packaged by a Linux distribution
    python build_addon.py --relock                              # after a change of versions in wheels.toml

A zip holds the package without its training ring, the bundled models, the icons and the wheels that Blender does not
ship itself. Wheels are downloaded once into a cache and checked against the sha256 in wheels.toml. The same sources
give the same bytes.
"""
from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "wheels.toml"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold; a real one would change the bytes of every build
LEFT_OUT = {"__pycache__", "training"}
TORCH_WEIGHTS = ".safetensors"  # for the torch engine, and Blender has no torch; the ONNX files hold the same numbers
MIB = 1024 * 1024


def cache_folder() -> Path:
    """Where downloaded wheels are kept between builds."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "pose2mesh-blender" / "wheels"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(requirement: str, pip_platform: str, python: str, cache: Path) -> Path:
    """Fetch one wheel for one platform and Python into the cache with pip; return its path."""
    folder = cache / f"{requirement.replace('==', '-')}-{pip_platform}-{python}"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--implementation=cp", f"--platform={pip_platform}", f"--python-version={python}",
               f"--dest={folder}", requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        sys.exit(f"{requirement} for {pip_platform}, Python {python}: pip found no wheel.\n{done.stderr.strip()}")
    return wheels[0]


def locked_wheels(lock: dict, platform: str, pythons: list[str], cache: Path) -> list[Path]:
    """The wheels a platform needs, from the cache or downloaded, each compared with its locked sha256."""
    spec, wheels = lock["platforms"][platform], {}
    for python in pythons:
        for requirement in spec["requirements"]:
            entry = next((w for w in lock["wheels"] if w["requirement"] == requirement and w["platform"] == platform
                          and python in w["pythons"]), None)
            if entry is None:
                sys.exit(f"wheels.toml locks no {requirement} for {platform} and Python {python}: run with --relock.")
            if entry["file"] in wheels:  # an abi3 wheel serves several Pythons
                continue
            name = f"{requirement.replace('==', '-')}-{spec['pip_platform']}-{entry['pythons'][0]}"
            path = cache / name / entry["file"]
            if not path.is_file():
                path = download(requirement, spec["pip_platform"], entry["pythons"][0], cache)
            if path.name != entry["file"] or sha256(path) != entry["sha256"]:
                sys.exit(f"{path} is not the wheel that wheels.toml locks: delete it, or run with --relock.")
            wheels[entry["file"]] = path
    return [wheels[name] for name in sorted(wheels)]


def relock(lock: dict, cache: Path) -> None:
    """Download every wheel of the platform table anew and write their hashes to wheels.toml."""
    found: dict[tuple[str, str, str], dict] = {}
    for platform, spec in lock["platforms"].items():
        for python in spec["pythons"] + spec.get("optional_pythons", []):
            for requirement in spec["requirements"]:
                path = download(requirement, spec["pip_platform"], python, cache)
                entry = {"requirement": requirement, "platform": platform, "pythons": [], "file": path.name,
                         "sha256": sha256(path), "bytes": path.stat().st_size}
                found.setdefault((platform, requirement, path.name), entry)["pythons"].append(python)
    head = LOCK.read_text(encoding="utf-8").split("[[wheels]]")[0].rstrip()
    blocks = ["[[wheels]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in entry.items())
              for entry in found.values()]
    LOCK.write_text(head + "\n\n" + "\n".join(blocks), encoding="utf-8")


def toml(value: str | int | list[str]) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def manifest_text(platform: str, wheels: list[Path], version_max: str | None) -> str:
    """The manifest with the lines that differ per platform, placed before its first table."""
    lines = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8").splitlines()
    added = [f"platforms = {toml([platform])}", "wheels = ["]
    added += [f'    "./wheels/{wheel.name}",' for wheel in wheels] + ["]", ""]
    if version_max:
        added.insert(0, f'blender_version_max = "{version_max}"')
    first_table = next(i for i, line in enumerate(lines) if line.startswith("["))
    while lines[first_table - 1].startswith("#"):  # a table keeps the comment above it
        first_table -= 1
    return "\n".join(lines[:first_table] + added + lines[first_table:]) + "\n"


def sources() -> dict[str, Path]:
    """Name in the zip -> file, for all but the manifest and the wheels. The zip's top is the package itself."""
    files = {"LICENSE": ROOT / "LICENSE"}
    package = ROOT / "pose2mesh_blender"
    for base, prefix in ((package, ""), (ROOT / "addon_models", "addon_models/"), (ROOT / "icons", "icons/")):
        for path in base.rglob("*"):
            inside = path.relative_to(base)
            hidden = any(part.startswith(".") for part in inside.parts)
            left_out = (base == package and LEFT_OUT & set(inside.parts)) or path.suffix == TORCH_WEIGHTS
            if path.is_file() and not hidden and not left_out:
                files[prefix + inside.as_posix()] = path
    files |= {f"docs/{page.name}": page for page in (ROOT / "docs").glob("*.md")}  # the buttons' Online Manual
    return files


def write_zip(target: Path, manifest: str, files: dict[str, Path]) -> dict[str, int]:
    """Write the zip with sorted names and fixed times; return compressed bytes by part."""
    parts: dict[str, int] = {}
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted([*files, "blender_manifest.toml"]):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            data = manifest.encode() if name == "blender_manifest.toml" else files[name].read_bytes()
            archive.writestr(info, data, compresslevel=9)
            folder = name.split("/")[0]
            part = name if folder == "wheels" else {"addon_models": "models"}.get(folder, "code, icons, licence")
            parts[part] = parts.get(part, 0) + info.compress_size
    partial.replace(target)
    return parts


def blender_checker() -> Path | None:
    """The command-line tool for extensions inside this Python's Blender module; None where there is no such module."""
    module = Path(sysconfig.get_paths()["purelib"]) / "bpy"
    return next(module.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"), None)


def blender_validates(zip_path: Path) -> None:
    """Let Blender's own check read a zip; exits with its words where it refuses."""
    checker = blender_checker()
    if checker is None:
        sys.exit("--validate needs Blender's Python module: pip install -e .[blender]")
    done = subprocess.run([sys.executable, str(checker), "validate", str(zip_path)], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f"Blender refuses {zip_path}:\n{done.stdout}{done.stderr}")
    print("  valid by Blender's own check")


def build(platform: str, pythons: list[str] | None, out: Path, cache: Path) -> Path:
    """Build the zip of one platform; return its path. `pythons`: None takes those of Blender's own builds."""
    lock = tomllib.loads(LOCK.read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    spec = lock["platforms"][platform]
    wheels = locked_wheels(lock, platform, pythons or spec["pythons"], cache)
    suffix = "".join(f"-py{python.replace('.', '')}" for python in pythons or [])
    target = out / f"pose2mesh_blender-{version}-{platform}{suffix}.zip"
    out.mkdir(parents=True, exist_ok=True)
    files = sources() | {f"wheels/{wheel.name}": wheel for wheel in wheels}
    parts = write_zip(target, manifest_text(platform, wheels, spec.get("blender_version_max")), files)
    print(f"{target.name}  {target.stat().st_size / MIB:.1f} MiB")
    for part, size in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {size / MIB:7.1f}  {part.removeprefix('wheels/')}")
    return target


def main(argv: list[str] | None = None) -> None:
    lock = tomllib.loads(LOCK.read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Build the zips that Blender installs.")
    parser.add_argument("--platform", action="append", choices=list(lock["platforms"]), help="default: all")
    parser.add_argument("--python", action="append", metavar="X.Y", help="Pythons to bring onnxruntime for; default: "
                        "those of Blender's own builds")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips (default: dist)")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help=f"wheel cache (default: {cache_folder()})")
    parser.add_argument("--validate", action="store_true", help="let Blender's own checker read each zip")
    parser.add_argument("--relock", action="store_true", help="download all wheels and rewrite their hashes")
    args = parser.parse_args(argv)
    if args.relock:
        relock(lock, args.cache)
    for platform in args.platform or list(lock["platforms"]):
        zip_path = build(platform, args.python, args.out, args.cache)
        if args.validate:
            blender_validates(zip_path)


if __name__ == "__main__":
    main()
