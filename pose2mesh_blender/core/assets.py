"""The bundled files (weights, body, detectors): where they lie, and whether they are ours. No `bpy` module use.

`index.json` in their folder lists every file with its sha256; one that is not listed, or that differs, is refused.
"""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

from .errors import AssetError

INDEX_NAME = "index.json"
SCHEMA = 1
REINSTALL = "Reinstall Pose2Mesh (the add-on's zip or the pip package), or check the file out again with git."

_PACKAGE = Path(__file__).resolve().parents[1]
_indexes: dict[Path, dict] = {}
_verified: set[Path] = set()
_lock = threading.Lock()


def models_dir() -> Path:
    """Folder of the bundled files: inside the package (zip, wheel), else beside it (checkout)."""
    for folder in (_PACKAGE / "addon_models", _PACKAGE.parent / "addon_models"):
        if folder.is_dir():
            return folder
    raise AssetError(f"The folder of bundled models is missing: {_PACKAGE / 'addon_models'}.", REINSTALL)


def load_index() -> dict:
    """The parsed index.json: `{"schema": 1, "assets": [{"file", "sha256", "bytes", "licence", "source", ...}]}`."""
    folder = models_dir()
    with _lock:
        if folder not in _indexes:
            _indexes[folder] = _read_index(folder / INDEX_NAME)
        return _indexes[folder]


def asset_path(name: str) -> Path:
    """Path of the bundled file `name` (as in index.json, "/" between folders), its sha256 checked once per process."""
    path = models_dir() / name
    entry = next((e for e in load_index()["assets"] if e["file"] == name), None)
    if entry is None:
        raise AssetError(f"{path} is not listed in {path.parent / INDEX_NAME}, so it cannot be trusted.", REINSTALL)
    with _lock:
        if path not in _verified:
            _verify(path, entry)
            _verified.add(path)
    return path


def verify_all() -> list[tuple[str, bool, str]]:
    """Check every listed file anew. Returns (file, ok, message) in the index's order; never raises for a bad file."""
    try:
        folder, entries = models_dir(), load_index()["assets"]
    except AssetError as error:
        return [(INDEX_NAME, False, str(error))]
    report = []
    for entry in entries:
        try:
            _verify(folder / entry["file"], entry)
            report.append((entry["file"], True, f"{entry['bytes']:,} bytes, sha256 {entry['sha256'][:12]}"))
        except AssetError as error:
            report.append((entry["file"], False, str(error)))
    return report


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def forget() -> None:
    """Drop what was read and checked so far in this process (for tests, and after files were replaced)."""
    with _lock:
        _indexes.clear()
        _verified.clear()


def _read_index(path: Path) -> dict:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AssetError(f"The list of bundled files is missing: {path}.", REINSTALL) from None
    except (OSError, ValueError) as error:
        raise AssetError(f"The list of bundled files cannot be read: {path} ({error}).", REINSTALL) from None
    entries = index.get("assets") if isinstance(index, dict) else None
    complete = isinstance(entries, list) and all(
        isinstance(e, dict) and isinstance(e.get("file"), str) and isinstance(e.get("sha256"), str)
        and isinstance(e.get("bytes"), int) for e in entries
    )  # fmt: skip
    if not complete or index.get("schema") != SCHEMA:
        raise AssetError(f"The list of bundled files is not of the form this version reads: {path}.", REINSTALL)
    return index


def _verify(path: Path, entry: dict) -> None:
    try:
        size = path.stat().st_size
        digest = sha256_of(path) if size == entry["bytes"] else ""
    except FileNotFoundError:
        raise AssetError(f"A bundled file is missing: {path}.", REINSTALL) from None
    except OSError as error:
        raise AssetError(f"A bundled file cannot be read: {path} ({error.strerror}).", REINSTALL) from None
    if size != entry["bytes"]:
        raise AssetError(f"{path} has {size:,} bytes, not the {entry['bytes']:,} that we shipped.", REINSTALL)
    if digest != entry["sha256"]:
        raise AssetError(f"{path} is not the file that we shipped (its sha256 differs).", REINSTALL)
