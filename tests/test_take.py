"""The take folder: what it holds, that it survives damage, two writers and a full disk."""
from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pose2mesh_blender.core.errors import TakeError
from pose2mesh_blender.core.files import allocate
from pose2mesh_blender.core.take import Take
from pose2mesh_blender.core.track_log import TrackLog, read_log

ROWS = 5


def make(folder, rows=ROWS):
    return Take.create(folder, frames=np.arange(rows) * 2, timestamps=np.arange(rows) / 15, image_size=(640, 480),
                       fps=30.0, intrinsics=np.diag([500.0, 500, 1]), footage={"identity": {"size": 1}})


def test_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(2, 6890, 3)).astype(np.float32)
    with make(tmp_path / "clip ünï") as take:
        take.set_people({3: "Ann", 0: "Bob"})
        keypoints = np.ones((ROWS, 23, 3), np.float32)
        keypoints[2] = np.nan
        take.set_keypoints(3, keypoints)
        take.mark_detected(np.arange(ROWS))
        take.prepare_mesh(3, np.arange(16))
        take.write_mesh(3, [1, 4], vertices, np.full((2, 3), 7.0), np.zeros((2, 24, 3)))
        take.mark_solved([1, 4])
    take = Take.open(tmp_path / "clip ünï")
    assert take.people == [3, 0] and take.name(3) == "Ann" and len(take) == ROWS
    assert take.frames.tolist() == [0, 2, 4, 6, 8] and take.image_size == (640, 480) and take.fps == 30
    assert np.isnan(take.keypoints(3)[2, :, :2]).all() and (take.keypoints(3)[2, :, 2] == 0).all()
    assert take.done.tolist() == [False, True, False, False, True]
    assert isinstance(take.vertices(3), np.memmap) and take.vertices(3).dtype == np.float32
    np.testing.assert_array_equal(take.vertices(3)[[1, 4]], vertices)
    assert np.isnan(take.vertices(3)[[0, 2, 3]]).all() and np.isnan(take.translation(3)[0]).all()
    assert take.shape(3).tolist() == list(range(16))


def test_new_keypoints_ask_for_a_new_solve(tmp_path):
    with make(tmp_path) as take:
        take.set_people({0: "A"})
        take.mark_solved(np.arange(ROWS))
        take.set_keypoints(0, np.zeros((1, 23, 3)), rows=[2])
        assert not take.solved.any()


def test_people_who_are_dropped_leave_no_arrays(tmp_path):
    with make(tmp_path) as take:
        for person in (0, 1, 11):
            take.set_keypoints(person, np.zeros((ROWS, 23, 3)))
        (tmp_path / "person_photos").mkdir()
        take.set_people({1: "B"})
    (tmp_path / "person_photos").rmdir()
    assert [p.name for p in tmp_path.glob("person_*")] == ["person_1"]


def test_one_writer_at_a_time_and_a_dead_writer_leaves_no_lock(tmp_path):
    make(tmp_path).close()
    code = f"""
        import os, signal
        from pose2mesh_blender.core.take import Take
        take = Take.open({str(tmp_path)!r}, write=True)
        print("locked", flush=True)
        input()
    """
    other = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline().strip() == "locked"
    with pytest.raises(TakeError, match=rf"another process \(number {other.pid}\)"):
        Take.open(tmp_path, write=True)
    assert Take.open(tmp_path).people == []  # reading needs no lock
    other.kill()
    other.communicate()
    Take.open(tmp_path, write=True).close()


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    with make(tmp_path) as take:
        take.mark_detected([0])
    assert Take.open(tmp_path).detected[0]


def test_a_name_that_is_no_utf8_is_kept(tmp_path):
    with make(tmp_path) as take:
        take.info["footage"]["path"] = "/clips/sh\udcffot.mp4"
        take.save()
    assert Take.open(tmp_path).footage["path"] == "/clips/sh\udcffot.mp4"


def test_reading_take_refuses_to_write(tmp_path):
    make(tmp_path).close()
    with pytest.raises(TakeError, match="for reading"):
        Take.open(tmp_path).mark_solved([0])


@pytest.mark.parametrize("damage", [
    lambda f: (f / "take.json").write_text("{"),
    lambda f: (f / "take.json").write_text("[]"),
    lambda f: (f / "take.json").write_text(json.dumps({**json.loads((f / "take.json").read_text()), "schema": 99})),
    lambda f: (f / "take.json").unlink(),
    lambda f: (f / "frames.npy").write_bytes((f / "frames.npy").read_bytes()[:100]),
    lambda f: (f / "timestamps.npy").unlink(),
    lambda f: np.save(f / "frames.npy", np.array([object()], object), allow_pickle=True),
    lambda f: np.save(f / "frames.npy", np.arange(3)),
])
def test_damaged_folder_is_one_clear_error(tmp_path, damage):
    make(tmp_path).close()
    damage(tmp_path)
    with pytest.raises(TakeError) as error:
        Take.open(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value) and error.value.cure


def test_damaged_person_array_is_one_clear_error(tmp_path):
    with make(tmp_path) as take:
        take.set_people({0: "A"})
        take.prepare_mesh(0, np.zeros(16))
        path = tmp_path / "person_0" / "vertices.npy"
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(TakeError, match=r"vertices\.npy"):
            take.vertices(0)


def test_full_disk_is_one_clear_error_and_keeps_what_is_done(tmp_path):
    code = f"""
        import resource, numpy as np
        from pose2mesh_blender.core.take import Take
        from pose2mesh_blender.core.errors import TakeError
        take = Take.open({str(tmp_path)!r}, write=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            take.prepare_mesh(0, np.zeros(16))
        except TakeError as error:
            print(error)
    """
    with make(tmp_path) as take:
        take.set_people({0: "A"})
        take.set_keypoints(0, np.ones((ROWS, 23, 3)))
        take.mark_detected(np.arange(ROWS))
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("No space left while writing") and "vertices.npy" in result.stdout
    take = Take.open(tmp_path)
    assert take.detected.all() and (take.keypoints(0) == 1).all() and not take.has_mesh(0)
    assert not list(tmp_path.rglob("*.part"))


def test_allocating_more_than_the_disk_has_fails_at_once(tmp_path):
    with pytest.raises(TakeError, match="No space left"):
        allocate(tmp_path / "huge.npy", (1 << 40, 6890, 3))
    assert not list(tmp_path.iterdir())


def test_track_log_keeps_whole_records_only(tmp_path):
    path = tmp_path / "tracks.bin"
    log = TrackLog(path, 0)
    for row in range(4):
        log.append([(person, np.full((23, 3), row, np.float32)) for person in range(row)])
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert [r for r, _, _ in read_log(path)] == [0, 1, 2]
    log = TrackLog(path, 10)
    assert log.rows == 3
    log.append([(person, np.full((23, 3), 3, np.float32)) for person in range(3)])
    log.close()
    assert path.read_bytes() == whole
    log = TrackLog(path, 2)  # flags say that only two rows are done: the others are made again
    log.close()
    records = list(read_log(path))
    assert [r for r, _, _ in records] == [0, 1] and records[1][1].tolist() == [0] and records[1][2].shape == (1, 23, 3)
