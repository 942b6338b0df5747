"""A batch's own logic, with made-up work: what is taken for footage, what a cancel does."""
from __future__ import annotations

import json

import pytest

from pose2mesh_blender.core.batch import REPORT, footage_in, numbered, output_names, run_batch, take_beside
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


def test_results_of_several_people_are_results(folder):
    """One file for each person: skipped the next time, unless the work stopped between two of them."""
    def work(source, target):
        for number in (1, 2):
            numbered(target, number).parent.mkdir(exist_ok=True)
            numbered(target, number).write_text("made")
        return "ok"

    out = folder / "out"
    assert [o.state for o in run_batch(folder, out, ".fbx", work)] == ["done"] * 3
    assert sorted(p.name for p in out.glob("*.fbx"))[:3] == ["a_01.fbx", "a_02.fbx", "b_01.fbx"]
    (out / "a_02.fbx").unlink()
    take_beside(out / "a.fbx").mkdir()  # as it is left when the work is stopped
    assert [o.state for o in run_batch(folder, out, ".fbx", work)] == ["done", "skipped", "skipped"]


def test_people_of_one_shot_do_not_overwrite_another_shot(folder):
    (folder / "a_01.mp4").write_text("x")
    names = output_names(footage_in(folder), folder / "out", ".fbx")
    assert [p.name for p in names] == ["a.mp4.fbx", "a_01.fbx", "b.fbx", "c.fbx"]
    people = {numbered(p, n).name for p in names for n in range(1, 9)} | {p.name for p in names}
    assert len(people) == 9 * len(names)


@pytest.mark.parametrize("suffix", [".mp4", ".png", ".npz"])
def test_results_that_look_like_footage_need_their_own_folder(folder, suffix):
    with pytest.raises(ExportError, match="taken for footage"):
        run_batch(folder, folder, suffix, lambda source, target: "ok")
