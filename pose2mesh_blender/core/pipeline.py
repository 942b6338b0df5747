"""From footage or a keypoint file to a solved take: the core of CLI, batch and worker. No `bpy` module use.

Detection streams: one frame in memory at a time, each stored before the next. Solving lifts and smooths the whole take
at once (some 500 bytes a frame and person), then meshes it piece by piece. Both stages go on where a killed process
stopped, with the same result as an uninterrupted run.
"""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .errors import Cancelled, FootageError
from .files import UnusableTakeError, writing
from .footage import Footage, open_footage
from .keypoint_files import KeypointSequence, is_keypoint_input, read_keypoint_file
from .people import choose_people, prominence, set_detected
from .progress import Progress, keeps, never, silent
from .settings import Settings
from .solve_take import body_of, solve_take
from .take import Take
from .track_log import TrackLog

STATE = "detection.json"  # what the estimator and the tracker remember of the frames before
OTHER_TAKE = "Delete the take folder, or name another one (--take)."
SMALLER_START = "Choose a smaller first frame (--start)."


@dataclass
class Engines:
    """Loaded networks, kept warm between runs."""

    _kept: dict = field(default_factory=dict)

    def estimator(self, preset: str, device: str, confidence: float | None = None, detector: str | None = None):
        from .detection import PoseEstimator
        from .detection.estimator import NEW_SCORE

        if device != "auto" and self.network(device).engine == "torch":
            device = "auto"  # a GPU that only torch reaches: the detectors run on the best that onnxruntime has
        return self._get(("estimator", preset, device, confidence, detector), lambda: PoseEstimator(
            preset=preset, device=device, body=_own_detector(detector, device), sure=confidence or NEW_SCORE))

    def network(self, device: str):
        from .network.engine import load_network

        return self._get(("network", device), lambda: load_network(device))

    def _get(self, key: tuple, make: Callable):
        from .detection.sessions import thread_count

        key = (*key, thread_count())
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def run(source: Path | str, take_folder: Path | str, settings: Settings | None = None,
        progress: Progress | None = None, cancelled: Callable[[], bool] | None = None,
        engines: Engines | None = None) -> Take:
    """Footage (video, image, folder of images) or keypoint file to a solved take, opened for reading.

    An unfinished take in `take_folder` is continued when it belongs to the same footage and detection settings; changed
    solve settings (smooth, people, camera, height, body) only solve it again. progress(stage, done, total).
    Raises Pose2MeshError for what a user can cure, and Cancelled; finished frames are in the folder either way.

    `cancelled` may have two more methods, to stop and keep what is done: `take_keep()` answers whether that was asked,
    and forgets the request; `at_once()` answers whether to stop without it. A detection that is stopped so goes on to
    the solve of its frames, and meshing that is stopped so ends as if the frames that are done were all.
    """
    from .detection.sessions import use_threads

    settings = settings or Settings()
    settings.check()
    progress, cancelled, engines = progress or silent, cancelled or never, engines or Engines()
    use_threads(settings.threads)
    source = Path(source)
    progress("open", 0, 1)
    # What is wrong with the input, the body or the network is known before anything is written or takes long.
    footage = sequence = None
    if is_keypoint_input(source):
        sequence = read_keypoint_file(source, image_size=settings.image_size, fps=settings.fps)
    else:
        footage = open_footage(source)
    body, network = body_of(settings), engines.network(settings.device)
    if sequence is not None:
        take = take_for_keypoints(sequence, Path(take_folder), settings)
    elif footage is not None:
        take = take_for_footage(footage, Path(take_folder), settings)
    with take:
        progress("open", 1, 1)
        try:
            if footage is not None:
                detect_take(footage, take, settings.preset, settings.device, settings.people, progress, cancelled,
                            engines, settings.confidence, settings.detector)
        except Cancelled:
            if not take.people or not keeps(cancelled):
                raise
        try:
            solve_take(take, network, settings, progress, cancelled, body=body)
        except Cancelled:
            if not take.solved.any() or not keeps(cancelled):
                raise
    return Take.open(take_folder)


# -- making and finding takes -----------------------------------------------------------------------------------------
def take_for_footage(footage: Footage, folder: Path, settings: Settings) -> Take:
    """A new take for this footage, or the one in `folder` when it was made from it. Locked for writing."""
    end = footage.frame_count - 1 if settings.end is None else min(settings.end, footage.frame_count - 1)
    frames = np.arange(settings.start, end + 1, settings.step)
    if not len(frames):
        raise FootageError(f"{footage.path} has {footage.frame_count} frames; none is left from frame "
                           f"{settings.start} on.", SMALLER_START)
    size = (footage.width, footage.height)
    return _take(folder, {"path": str(Path(footage.path).resolve()), "identity": footage.identity(),
                          "kind": footage.kind},
                 {"preset": settings.preset, "start": settings.start, "end": int(frames[-1]), "step": settings.step,
                  "confidence": settings.confidence, "detector": _hash_of(settings.detector)},
                 frames, frames / (footage.fps or 30.0), size, footage.fps or 30.0, settings.camera(size),
                 {"detectors": detector_hashes()})


def take_for_keypoints(sequence: KeypointSequence, folder: Path, settings: Settings) -> Take:
    """A take whose detection is done: the people of a keypoint file. Locked for writing."""
    count = sequence.keypoints.shape[1]
    end = count - 1 if settings.end is None else min(settings.end, count - 1)
    rows = np.arange(settings.start, end + 1, settings.step)
    if not len(rows):
        raise FootageError(f"{sequence.path} has {count} frames; none is left from frame {settings.start} on.",
                           SMALLER_START)
    digest = hashlib.sha256(sequence.keypoints.tobytes()).hexdigest()
    intrinsics = sequence.intrinsics
    if intrinsics is None or settings.focal or settings.fov:
        intrinsics = settings.camera(sequence.image_size)
    take = _take(folder, {"path": str(sequence.path.resolve()), "identity": {"sha256": digest}, "kind": "keypoints"},
                 {"start": settings.start, "end": int(rows[-1]), "step": settings.step}, sequence.frames[rows],
                 sequence.frames[rows] / sequence.fps, sequence.image_size, sequence.fps, intrinsics,
                 {"skeleton": sequence.skeleton})
    chosen = {"people": settings.people}
    try:
        if not take.detected.all() or take.info.get("chosen") != chosen:
            people = [i for i in range(len(sequence.keypoints))
                      if np.isfinite(sequence.keypoints[i, rows, :, 0]).any()]
            scores = {i: prominence(sequence.keypoints[i, rows]) for i in people}
            kept = sorted(people, key=lambda i: -scores[i])[:settings.people]
            if not kept:
                raise FootageError(f"{sequence.path}: nobody is in the chosen frames.", "Choose other frames.")
            take.set_people({i: f"Person {n}" for n, i in enumerate(kept, 1)})
            for person in kept:
                set_detected(take, person, sequence.keypoints[person, rows])
            take.info["chosen"] = chosen
            take.save()
            take.mark_detected(np.arange(len(rows)))
    except BaseException:
        take.close()
        raise
    return take


def _take(folder: Path, footage: dict, chosen: dict, frames: np.ndarray, timestamps: np.ndarray,
          size: tuple[int, int], fps: float, intrinsics: np.ndarray, models: dict) -> Take:
    if not (folder / "take.json").exists():
        return Take.create(folder, frames=frames, timestamps=timestamps, image_size=size, fps=fps,
                           intrinsics=intrinsics, footage=footage, settings=chosen, models=models)
    take = Take.open(folder, write=True)
    try:
        if take.footage.get("identity") != json.loads(json.dumps(footage["identity"])):
            raise UnusableTakeError(f"{folder} was made from other footage ({take.footage.get('path')}).", OTHER_TAKE)
        differing = [k for k in chosen if take.settings.get(k) != chosen[k]]
        if differing:
            was = ", ".join(f"{k} {take.settings.get(k)}" for k in differing)
            raise UnusableTakeError(f"{folder} was made with other settings ({was}).",
                                    "Use these again, delete the take folder, or name another one (--take).")
        if any(take.info.get("models", {}).get(k) != v for k, v in models.items()):
            raise UnusableTakeError(f"{folder} was made with other detection networks.", OTHER_TAKE)
        take.info["footage"]["path"] = footage["path"]  # the same footage may have moved
        take.info["intrinsics"] = np.asarray(intrinsics).tolist()
        take.save()
    except BaseException:
        take.close()
        raise
    return take


def _hash_of(path: str | None) -> str | None:
    """sha256 of the user's own network. Raises AssetError when it is not there."""
    from .assets import sha256_of
    from .errors import AssetError

    if path is None:
        return None
    try:
        return sha256_of(Path(path))
    except OSError as error:
        raise AssetError(f"{path} cannot be read ({error.strerror}).", "Choose another detector, or none.") from None


def detector_hashes() -> dict[str, str]:
    from .assets import load_index

    return {e["file"]: e["sha256"] for e in load_index()["assets"] if e["file"].startswith("detectors/")}


# -- detection --------------------------------------------------------------------------------------------------------
def detect_take(footage: Footage, take: Take, preset: str = "accurate", device: str = "auto",
                people: int | None = None, progress: Progress | None = None,
                cancelled: Callable[[], bool] | None = None, engines: Engines | None = None,
                confidence: float | None = None, detector: str | None = None) -> None:
    """Finds, follows and stores everybody in the take's frames that are not done; then chooses whom to keep.

    Raises FootageError when nobody is found, Cancelled (people found so far are then chosen and stored).
    """
    progress, cancelled = progress or silent, cancelled or never
    done = int(np.argmin(np.append(take.detected, False)))
    if done < len(take):
        estimator = (engines or Engines()).estimator(preset, device, confidence, detector)
        try:
            _detect_rows(footage, take, done, estimator, progress, cancelled)
        except Cancelled:
            choose_people(take, people)
            raise
    progress("detect", len(take), len(take))
    if choose_people(take, people) == 0:
        raise FootageError(f"{footage.path}: nobody was found in {len(take)} frames.",
                           "Use footage in which a person is at least a tenth of the picture's height.")


def _own_detector(path: str | None, device: str):
    if path is None:
        return None
    from .detection.topdown import TopDownOnnx

    return TopDownOnnx(path, device)


def _detect_rows(footage: Footage, take: Take, done: int, estimator, progress: Progress,
                 cancelled: Callable[[], bool]) -> None:
    """Per frame, in this order: record, memory of estimator and tracker, flag; a killed run is continued exactly."""
    from .tracking import Tracker

    state = _read_state(take.folder / STATE)
    if state is not None and not done <= state["row"] <= done + 1:
        state = None
    row = state["row"] if state else 0
    log = TrackLog(take.folder / "tracks.bin", row)
    if log.rows < row:  # a power cut lost records that a killed process would have left
        log.close()
        log, row, state = TrackLog(take.folder / "tracks.bin", 0), 0, None
    if state is None:
        take.clear_detected()
    tracker = Tracker.from_state(state["tracker"]) if state else Tracker()
    estimator.reset()
    if state:
        estimator.from_state(state["estimator"])
        take.mark_detected(np.arange(row))
    times = take.timestamp_writer()
    try:
        for frame in _frames_from(footage, take, row):
            if cancelled():
                raise Cancelled
            seen = tracker.update(frame.index, frame.timestamp, estimator.estimate(frame.image))
            times.write(np.array([row]), np.array([frame.timestamp]))
            take.timestamps[row] = frame.timestamp
            log.append([(person, found.keypoints) for person, found in seen])
            row += 1
            _write_state(take.folder / STATE, {"row": row, "tracker": tracker.to_state(),
                                               "estimator": estimator.to_state()})
            take.mark_detected(np.array([row - 1]))
            progress("detect", row, len(take))
    finally:
        times.close()
        log.close()
    if row < len(take):
        take.info["warnings"].append(f"The footage ended after {row} of {len(take)} frames.")
        take.save()
        take.mark_detected(np.arange(row, len(take)))


def _frames_from(footage: Footage, take: Take, row: int):
    if row == len(take):
        return iter(())
    return footage.frames(start=int(take.frames[row]), end=int(take.frames[-1]), step=int(take.settings.get("step", 1)))


def _read_state(path: Path) -> dict | None:
    """None when there is none, or a power cut damaged it: detection then starts again."""
    try:
        state = json.loads(path.read_text())
        return state if {"row", "tracker", "estimator"} <= set(state) and isinstance(state["row"], int) else None
    except (OSError, ValueError, TypeError):
        return None


def _write_state(path: Path, state: dict) -> None:
    """Whole or not at all for a killed process; not forced to the disk, which would cost more than the frame."""
    temporary = path.with_suffix(".part")
    with writing(path):
        temporary.write_text(json.dumps(state))
        os.replace(temporary, path)
