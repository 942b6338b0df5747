"""Keypoints that other programs wrote: npz, OpenPose, COCO results, AlphaPose. No `bpy` module use.

Everything becomes one `KeypointSequence` of body23 keypoints per person; nothing is ever unpickled. Files without track
ids (OpenPose folders, COCO results) are matched over time by the Tracker.
"""
from __future__ import annotations

import json
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import KeypointFileError
from .footage import natural_key
from .skeletons import SKELETONS, convert

SUFFIXES = (".npz", ".json")  # of files
NPZ_HELP = ("It must hold keypoints (T,J,3) or (P,T,J,3), skeleton (one of " + ", ".join(SKELETONS)
            + ") and image_size (W,H).")
# A detector may place a hidden joint outside the picture, but not further than this many picture sizes.
FAR_OUTSIDE = 3.0
_OPENPOSE_COUNTS = {25: "body25", 17: "coco17"}
_COCO_COUNTS = {17: "coco17", 26: "halpe26", 133: "wholebody133", 23: "body23", 16: "mpii16"}


@dataclass
class KeypointSequence:
    """Body23 keypoints of P people over T frames.

    keypoints: (P, T, 23, 3) float32, pixels and confidence, absent NaN, NaN, 0; frames (T,) int; image_size (W, H);
    intrinsics (3, 3) or None; fps; skeleton: the set that the file was in.
    """

    path: Path
    keypoints: np.ndarray
    frames: np.ndarray
    image_size: tuple[int, int]
    intrinsics: np.ndarray | None
    fps: float
    skeleton: str


def is_keypoint_input(path: Path | str) -> bool:
    """True for .npz and .json files and for folders of OpenPose JSON files (and no pictures' folder)."""
    path = Path(path)
    if os.path.isdir(path):
        return any(path.glob("*_keypoints.json"))
    return path.suffix.lower() in SUFFIXES


def read_keypoint_file(path: Path | str, *, image_size: tuple[int, int] | None = None,
                       fps: float | None = None) -> KeypointSequence:
    """Reads any of the formats. `image_size` (W, H) and `fps` serve the formats that hold neither (JSON).

    Raises KeypointFileError, one line with the file and the cure.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise KeypointFileError(f"{path} does not exist.", "Check the spelling of the path.")
    if path.is_dir():
        return _from_openpose(path, image_size, fps)
    if path.suffix.lower() == ".npz":
        return _from_npz(path, fps)
    content = _read_json(path)
    if isinstance(content, dict) and ("version" in content or "people" in content):
        return _from_openpose(path, image_size, fps)
    return _from_results(path, content, image_size, fps)


# -- npz --------------------------------------------------------------------------------------------------------------
def _from_npz(path: Path, fps: float | None) -> KeypointSequence:
    try:
        with np.load(path, allow_pickle=False) as archive:
            data = {key: archive[key] for key in ("keypoints", "skeleton", "image_size", "intrinsics", "fps")
                    if key in archive}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = "it holds Python objects" if "pickle" in str(error) else "damaged, or not an npz file"
        raise KeypointFileError(f"{path} cannot be read: {reason}.",
                                "Write it with numpy.savez and plain number arrays.") from None
    missing = [key for key in ("keypoints", "skeleton", "image_size") if key not in data]
    if missing:
        raise KeypointFileError(f"{path} has no {', '.join(missing)}.", NPZ_HELP)
    keypoints, skeleton = data["keypoints"], str(data["skeleton"].reshape(-1)[0] if data["skeleton"].size else "")
    if skeleton not in SKELETONS:
        raise KeypointFileError(f"{path}: unknown skeleton “{skeleton}”.", f"Use one of: {', '.join(SKELETONS)}.")
    if keypoints.dtype.kind not in "fiu":
        raise KeypointFileError(f"{path}: keypoints are of type {keypoints.dtype}, not numbers.", NPZ_HELP)
    if keypoints.ndim == 3:
        keypoints = keypoints[None]
    joints = len(SKELETONS[skeleton])
    if keypoints.ndim != 4 or keypoints.shape[-1] != 3:
        raise KeypointFileError(f"{path}: keypoints have shape {data['keypoints'].shape}.", NPZ_HELP)
    if keypoints.shape[2] != joints:
        raise KeypointFileError(f"{path}: skeleton {skeleton} has {joints} joints, the keypoints have "
                                f"{keypoints.shape[2]}.", "Name the right skeleton or give all its joints.")
    size = data["image_size"]
    if size.dtype.kind not in "fiu" or size.size != 2:
        raise KeypointFileError(f"{path}: image_size must be (W, H), it is {size.tolist()}.", NPZ_HELP)
    rate = fps
    if rate is None and "fps" in data:
        rate = float(data["fps"].reshape(-1)[0]) if data["fps"].dtype.kind in "fiu" and data["fps"].size else -1.0
    intrinsics = data.get("intrinsics")
    if intrinsics is not None:
        good = intrinsics.shape == (3, 3) and intrinsics.dtype.kind in "fiu" and np.isfinite(intrinsics).all()
        if not good or intrinsics[0, 0] <= 0 or intrinsics[1, 1] <= 0:
            raise KeypointFileError(f"{path}: intrinsics must be a (3, 3) camera matrix in pixels with positive focal "
                                    "lengths.", "Correct it, or leave it out and give the field of view (--fov).")
        intrinsics = intrinsics.astype(np.float64)
    return _checked(path, keypoints.astype(np.float32), np.arange(keypoints.shape[1]), tuple(size.reshape(-1).tolist()),
                    intrinsics, rate, skeleton)


# -- JSON -------------------------------------------------------------------------------------------------------------
def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KeypointFileError(f"{path} cannot be read as JSON ({error}).", "Write it again.") from None


def _from_openpose(path: Path, image_size: tuple[int, int] | None, fps: float | None) -> KeypointSequence:
    """An OpenPose folder (`<name>_<12 digits>_keypoints.json`, one file a frame) or one such file."""
    files = [path]
    if path.is_dir():  # macOS leaves "._" twins of files on foreign disks
        files = sorted(f for f in path.glob("*_keypoints.json") if not f.name.startswith("."))
    if not files:
        raise KeypointFileError(f"{path} has no *_keypoints.json files.", "Choose the folder OpenPose wrote.")
    numbers = [re.search(r"(\d+)_keypoints$", f.stem) for f in files]
    frames = np.array([int(m.group(1)) for m in numbers if m])
    if len(frames) < len(files):
        frames = np.arange(len(files))
    if len(set(frames.tolist())) != len(frames):
        raise KeypointFileError(f"{path} holds the frames of several clips.", "Give each clip its own folder.")
    frames -= frames.min()
    if frames.max() > 10 * len(frames) + 1000:  # numbers that do not count frames
        frames = np.arange(len(frames))
    per_frame: dict[int, list[np.ndarray]] = {}
    skeleton = ""
    for file, frame in zip(files, frames):
        content = _read_json(file)
        people = content.get("people") if isinstance(content, dict) else None
        if not isinstance(people, list):
            raise KeypointFileError(f"{file} has no list “people”.", "Choose files that OpenPose wrote.")
        found = per_frame.setdefault(int(frame), [])
        for person in people:
            values = _numbers(file, person.get("pose_keypoints_2d") if isinstance(person, dict) else None)
            if not values.size:
                continue
            skeleton = _skeleton_of(file, len(values), _OPENPOSE_COUNTS, skeleton)
            found.append(convert(_unit_confidence(values), skeleton))
    if not skeleton:
        raise KeypointFileError(f"{path}: nobody is in these files.", "Choose files in which a person was found.")
    return _tracked(path, per_frame, int(frames.max()) + 1, image_size, fps, skeleton)


def _from_results(path: Path, content: object, image_size: tuple[int, int] | None,
                  fps: float | None) -> KeypointSequence:
    """COCO results, or AlphaPose's file of the same form with an `idx` per person: [{image_id, keypoints, score}]."""
    if isinstance(content, dict):
        image_size = image_size or _coco_size(content)
        content = content.get("annotations", content.get("predictions"))
    if not isinstance(content, list) or not content:
        raise KeypointFileError(f"{path} is no list of keypoint results.",
                                "Give an OpenPose, COCO-results or AlphaPose file.")
    ids = sorted({str(entry.get("image_id")) if isinstance(entry, dict) else "" for entry in content}, key=natural_key)
    frame_of = {name: _frame_number(name, i) for i, name in enumerate(ids)}
    span = max(frame_of.values()) - min(frame_of.values())
    if len(set(frame_of.values())) < len(ids) or span > 10 * len(ids) + 1000:  # numbers that do not count frames
        frame_of = {name: i for i, name in enumerate(ids)}
    first = min(frame_of.values())
    per_frame: dict[int, list[np.ndarray]] = {}
    tracks: dict[int, dict[int, np.ndarray]] = {}
    skeleton = ""
    for entry in content:
        if not isinstance(entry, dict) or "keypoints" not in entry or "image_id" not in entry:
            raise KeypointFileError(f"{path}: an entry lacks image_id or keypoints.",
                                    "Give an OpenPose, COCO-results or AlphaPose file.")
        values = _numbers(path, entry["keypoints"])
        skeleton = _skeleton_of(path, len(values), _COCO_COUNTS, skeleton)
        body = convert(_unit_confidence(values), skeleton)
        frame = frame_of[str(entry["image_id"])] - first
        per_frame.setdefault(frame, []).append(body)
        track_id = entry.get("idx", entry.get("track_id"))
        if isinstance(track_id, int):
            tracks.setdefault(track_id, {})[frame] = body
    count = max(per_frame) + 1
    if sum(len(t) for t in tracks.values()) == len(content):  # every entry has its own track id: trust them
        keypoints = _absent(len(tracks), count)
        for slot, track in enumerate(tracks.values()):
            for frame, body in track.items():
                keypoints[slot, frame] = body
        return _checked(path, keypoints, np.arange(count), image_size, None, fps, skeleton, converted=True)
    return _tracked(path, per_frame, count, image_size, fps, skeleton)


def _tracked(path: Path, per_frame: dict[int, list[np.ndarray]], count: int, image_size: tuple[int, int] | None,
             fps: float | None, skeleton: str) -> KeypointSequence:
    from .detection import PersonKeypoints
    from .tracking import Tracker

    tracker, rate = Tracker(), fps or 30.0
    people: dict[int, dict[int, np.ndarray]] = {}
    for frame in range(count):
        seen = [PersonKeypoints(body, float(body[:, 2].mean())) for body in per_frame.get(frame, [])
                if np.isfinite(body[:, 0]).any()]
        for person, found in tracker.update(frame, frame / rate, seen):
            people.setdefault(person, {})[frame] = found.keypoints
    keypoints = _absent(len(people), count)
    for slot, track in enumerate(people.values()):
        for frame, body in track.items():
            keypoints[slot, frame] = body
    return _checked(path, keypoints, np.arange(count), image_size, None, fps, skeleton, converted=True)


def _absent(people: int, count: int) -> np.ndarray:
    keypoints = np.zeros((people, count, 23, 3), np.float32)
    keypoints[..., :2] = np.nan
    return keypoints


def _numbers(path: Path, values: object) -> np.ndarray:
    """A flat list x0, y0, c0, x1, ... as (J, 3) float32; OpenPose writes 0, 0, 0 for a missing joint."""
    try:
        array = np.asarray(values if values is not None else [], np.float32).reshape(-1, 3)
    except (ValueError, TypeError):
        raise KeypointFileError(f"{path}: keypoints must be a list of x, y, confidence.", "Write it again.") from None
    return array


def _unit_confidence(keypoints: np.ndarray) -> np.ndarray:
    """Confidences of some exporters run 0..1 per joint but above 1 for heatmap peaks; COCO ground truth has 0, 1, 2."""
    return np.concatenate([keypoints[:, :2], np.clip(keypoints[:, 2:], None, 1.0)], 1)


def _skeleton_of(path: Path, joints: int, known: dict[int, str], before: str) -> str:
    name = known.get(joints)
    if name is None or (before and name != before):
        counts = ", ".join(f"{n} ({s})" for n, s in known.items())
        raise KeypointFileError(f"{path}: a person has {joints} joints; this format is read with {counts}.",
                                "Export one of these, or write an npz with its skeleton named.")
    return name


def _frame_number(name: str, fallback: int) -> int:
    digits = re.findall(r"\d+", Path(name).stem)
    return int(digits[-1]) if digits else fallback


def _coco_size(content: dict) -> tuple[int, int] | None:
    images = content.get("images")
    if isinstance(images, list) and images and isinstance(images[0], dict):
        width, height = images[0].get("width"), images[0].get("height")
        if isinstance(width, int) and isinstance(height, int):
            return width, height
    return None


# -- checks that all formats share ------------------------------------------------------------------------------------
def _checked(path: Path, keypoints: np.ndarray, frames: np.ndarray, size: tuple | None, intrinsics: np.ndarray | None,
             fps: float | None, skeleton: str, converted: bool = False) -> KeypointSequence:
    if keypoints.shape[0] == 0 or keypoints.shape[1] == 0:
        raise KeypointFileError(f"{path} holds no frames or no people.", "Choose a file in which a person was found.")
    if size is None:
        raise KeypointFileError(f"{path} does not say how large the picture was.",
                                "Give the image size (--image-size W H).")
    if not all(np.isfinite(v) and v > 0 and v == int(v) for v in size):
        raise KeypointFileError(f"{path}: image_size {tuple(size)} must be two positive whole numbers.",
                                "Give the width and height of the footage in pixels.")
    rate = 30.0 if fps is None else float(fps)
    if not np.isfinite(rate) or rate <= 0:
        raise KeypointFileError(f"{path}: fps must be a positive number, it is {rate:g}.", "Correct it.")
    if np.isinf(keypoints).any():
        raise KeypointFileError(f"{path}: keypoints hold infinite numbers.", "Use NaN for a missing joint.")
    confidence = keypoints[..., 2]
    if (confidence < 0).any():
        raise KeypointFileError(f"{path}: a confidence is negative.", "Use 0 to 1, and 0 or NaN for a missing joint.")
    if (confidence > 1.001).any():
        raise KeypointFileError(f"{path}: a confidence is {np.nanmax(confidence):g}; the range is 0 to 1.",
                                "Divide by the largest value, or use 1 for a known joint.")
    if not converted:
        keypoints = convert(keypoints, skeleton)
    there = np.isfinite(keypoints[..., 0])
    if not there.any():
        raise KeypointFileError(f"{path}: every keypoint is missing (NaN or confidence 0).",
                                "Choose a file in which a person was found.")
    points, extent = keypoints[there][:, :2], np.array(size, np.float64)
    away = np.abs(points - extent / 2) / extent
    if away.max() > FAR_OUTSIDE:
        x, y = points[away.max(1).argmax()]
        raise KeypointFileError(f"{path}: the point ({x:.0f}, {y:.0f}) lies far outside the picture of "
                                f"{size[0]:.0f} x {size[1]:.0f}.", "Give pixels and the right image_size.")
    if points.max() <= 1.5 and extent.min() > 16:
        raise KeypointFileError(f"{path}: the keypoints look like fractions of the picture, not pixels.",
                                "Multiply x by the width and y by the height.")
    return KeypointSequence(path, keypoints.astype(np.float32), frames, (int(size[0]), int(size[1])), intrinsics, rate,
                            skeleton)
