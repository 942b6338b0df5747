"""NOTICE and index.json are what `build_index` writes from the bundled files."""

from __future__ import annotations

import pytest

from pose2mesh_blender.core.assets import load_index, models_dir
from pose2mesh_blender.training import build_index


def test_index_and_notice_are_up_to_date():
    assert build_index.stale(models_dir()) == [], "run: python -m pose2mesh_blender.training.build_index"


def test_index_and_notice_are_rebuilt_from_the_files(tmp_path):
    (tmp_path / "LICENSES").mkdir()
    (tmp_path / "LICENSES" / "MIT.txt").write_text("text")
    (tmp_path / "body.npz").write_bytes(b"body")
    build_index.write(tmp_path)
    assert build_index.stale(tmp_path) == []
    (tmp_path / "body.npz").write_bytes(b"other")
    assert build_index.stale(tmp_path) == ["NOTICE", "index.json"]


def test_a_file_without_a_licence_record_is_refused(tmp_path):
    (tmp_path / "found_somewhere.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"found_somewhere.onnx: no licence record"):
        build_index.build_index(tmp_path)


def test_every_licence_named_has_its_text():
    texts = {p.stem for p in (models_dir() / "LICENSES").iterdir()} | {"GPL-3.0-or-later"}  # the program's own LICENSE
    for entry in load_index()["assets"]:
        if entry["file"].startswith("LICENSES/"):
            continue
        assert set(entry["licence"].split(" AND ")) <= texts, entry["file"]


def test_detectors_name_the_hash_of_their_sources():
    detectors = [e for e in load_index()["assets"] if e["file"].startswith("detectors/")]
    assert len(detectors) >= 5
    for entry in detectors:
        assert entry["sources"] and all(len(s["sha256"]) == 64 for s in entry["sources"])


def test_notice_carries_the_attributions():
    notice = (models_dir() / "NOTICE").read_text(encoding="utf-8")
    for words in ("Max-Planck-Gesellschaft", "https://smpl.is.tue.mpg.de/bodylicense", "Loper et al. 2015", "MakeHuman",
                  "NSF EIA-0196217", "Google LLC", "Vladimir Mandic"):  # fmt: skip
        assert words in notice, words
