"""The detectors' build: pinned sources are checked, fused TensorFlow.js operators split, graphs ordered."""
from __future__ import annotations

import base64
import io
import json
import tarfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pose2mesh_blender.training.build_detectors import DETECTORS, archive_name, fetch, in_order, unfuse


def test_every_bundled_detector_has_a_source(models):
    assert {d.file for d in DETECTORS} == {path.name for path in (models / "detectors").glob("*.onnx")}
    assert all(len(sha) == 64 for d in DETECTORS for sha in d.members.values())
    assert archive_name("@mediapipe/pose@0.5.1675469404") == "mediapipe-pose-0.5.1675469404.tgz"


def test_changed_sources_are_refused(tmp_path):
    detector = replace(DETECTORS[3], members={"pose_landmark_full.tflite": "0" * 64})
    with tarfile.open(tmp_path / archive_name(detector.package), "w:gz") as tar:
        info = tarfile.TarInfo("package/pose_landmark_full.tflite")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(SystemExit, match=r"pose_landmark_full\.tflite has sha256"):
        fetch(detector, tmp_path, tmp_path / "sources")
    assert not list((tmp_path / "sources").iterdir())


def test_unfuse_splits_and_keeps_the_name(tmp_path):
    fused = [base64.b64encode(name.encode()).decode() for name in ("BiasAdd", "Relu6")]
    node = {"name": "conv", "op": "_FusedConv2D", "input": ["x", "w", "b"],
            "attr": {"T": {"type": "DT_FLOAT"}, "strides": {}, "fused_ops": {"list": {"s": fused}}, "num_args": {}}}
    (tmp_path / "a.json").write_text(json.dumps({"modelTopology": {"node": [node]}}))
    unfuse(tmp_path / "a.json", tmp_path / "b.json")
    nodes = json.loads((tmp_path / "b.json").read_text())["modelTopology"]["node"]
    assert [n["op"] for n in nodes] == ["Conv2D", "BiasAdd", "Relu6"]
    assert nodes[0]["input"] == ["x", "w"] and nodes[1]["input"] == [nodes[0]["name"], "b"]
    assert nodes[2]["name"] == "conv" and "fused_ops" not in nodes[0]["attr"]


def test_order_depends_on_the_graph_alone():
    a, b, c, d = (SimpleNamespace(input=i, output=[o]) for i, o in
                  ((["image"], "a"), (["a"], "b"), (["a", "b"], "c"), (["image"], "unused")))
    for nodes in ([a, b, c, d], [d, c, b, a], [b, a, d, c]):
        assert [n.output[0] for n in in_order(nodes, ["c", "b"])] == ["a", "b", "c"]
