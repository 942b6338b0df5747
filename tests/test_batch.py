"""A batch's own logic, with made-up work: what is taken for footage, what a cancel does."""
from __future__ import annotations

import json

import pytest

from pose2mesh_blender.core.batch import REPORT, footage_in, run_batch
from pose2mesh_blender.core.errors import Cancelled, ExportError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "b.mov", "c.png"):
        (tmp_path / name).write_text("x")
    return tmp_path


def test_a_cancel_stops_the_batch(folder):
    done = []

    def work(source, target):
        if len(done) == 1:
            raise Cancelled
        done.append(source.name)
        return "ok"

    with pytest.raises(Cancelled):
        run_batch(folder, folder / "out", ".fbx", work)
    report = json.loads((folder / "out" / REPORT).read_text())
    assert done == ["a.mp4"] and [r["state"] for r in report["results"]] == ["done"] and report["waiting"] == 2


@pytest.mark.parametrize("out", [".", "out"])
def test_its_own_results_are_no_footage(folder, out):
    """Results and report inside the folder of the footage, also as pictures, change nothing for the next run."""
    def work(source, target):
        target.parent.mkdir(exist_ok=True)
        target.write_text("made")
        return "ok"

    suffix = ".png" if out == "out" else ".fbx"
    first, second = (run_batch(folder, folder / out, suffix, work) for _ in range(2))
    assert [o.state for o in first] == ["done"] * 3 and [o.state for o in second] == ["skipped"] * 3
    assert REPORT not in [p.name for p in footage_in(folder)]


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".npz"])
def test_results_that_look_like_footage_need_their_own_folder(folder, suffix):
    with pytest.raises(ExportError, match="taken for footage"):
        run_batch(folder, folder, suffix, lambda source, target: "ok")
