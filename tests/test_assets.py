"""The bundled files and their index."""

from __future__ import annotations

import json
import shutil

import pytest

from pose2mesh_blender.core import assets
from pose2mesh_blender.core.errors import AssetError


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A small copy of the models folder (every file below 200 kB) that a test may damage."""
    source, index = assets.models_dir(), assets.load_index()
    folder = tmp_path / "addon_models"
    small = [e for e in index["assets"] if e["bytes"] < 200_000]
    for entry in small:
        target = folder / entry["file"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / entry["file"], target)
    (folder / "index.json").write_text(json.dumps(index | {"assets": small}))
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path)
    assets.forget()
    yield folder, small[0]["file"]
    assets.forget()


def test_every_bundled_file_is_listed_and_has_its_hash():
    folder = assets.models_dir()
    on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    listed = [e["file"] for e in assets.load_index()["assets"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == on_disk - {"index.json"}
    bad = [message for _, ok, message in assets.verify_all() if not ok]
    assert not bad, bad


def test_every_entry_names_licence_and_source():
    for entry in assets.load_index()["assets"]:
        for key in ("licence", "source", "version", "attribution"):
            assert entry.get(key), f"{entry['file']} has no {key}"


def test_notice_names_every_file():
    notice = (assets.models_dir() / "NOTICE").read_text(encoding="utf-8")
    for entry in assets.load_index()["assets"]:
        if entry["file"] != "NOTICE":
            assert entry["file"] in notice and entry["sha256"] in notice, entry["file"]


def test_a_good_file_is_found(copy):
    folder, name = copy
    assert assets.asset_path(name) == folder / name


def test_one_wrong_byte_is_refused(copy):
    folder, name = copy
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(AssetError, match=f"{folder.name}.*sha256 differs.*Reinstall"):
        assets.asset_path(name)
    assert [ok for file, ok, _ in assets.verify_all() if file == name] == [False]


def test_truncated_missing_and_unlisted_files_are_refused(copy):
    folder, name = copy
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    with pytest.raises(AssetError, match="bytes, not the"):
        assets.asset_path(name)
    (folder / name).unlink()
    with pytest.raises(AssetError, match=r"missing: .*Reinstall"):
        assets.asset_path(name)
    (folder / "stray.onnx").write_bytes(b"x")
    with pytest.raises(AssetError, match="not listed"):
        assets.asset_path("stray.onnx")
    with pytest.raises(AssetError, match="not listed"):
        assets.asset_path("../secret")


BAD_INDEX = [None, "", "{", "[]", '{"schema": 99, "assets": []}', '{"schema": 1, "assets": [{}]}']


@pytest.mark.parametrize("content", BAD_INDEX)
def test_a_bad_index_is_named(copy, content):
    folder, name = copy
    (folder / "index.json").unlink()
    if content is not None:
        (folder / "index.json").write_text(content)
    assets.forget()
    with pytest.raises(AssetError, match=r"index.json.*Reinstall"):
        assets.asset_path(name)
    assert assets.verify_all() == [("index.json", False, assets.verify_all()[0][2])]


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "_PACKAGE", tmp_path / "nowhere" / "package")
    with pytest.raises(AssetError, match=r"addon_models.*Reinstall"):
        assets.models_dir()
