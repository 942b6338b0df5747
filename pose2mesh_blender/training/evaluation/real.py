"""A real person seen by four calibrated cameras: keypoints of one view against the triangulation of all.

The reference is not independent: it is triangulated from OpenPose's keypoints of the same frames, and bones in it vary
by 15-20 mm. One man balances for 1.7 seconds: the intervals, over quarters of each camera's take, say how much the
numbers depend on the moment and the view, and nothing about other people.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import KeypointFileError
from ...core.footage import open_footage
from ...core.network import joints as J
from ...core.network.engine import Network
from ...core.skeletons import COCO17, FEET6
from ...core.solve import solve_motion
from ..baselines import BlazePoseDepth
from ..metrics import over_clips, procrustes_error
from .footage import detected_take

LIMBS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
         "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
ROWS = [COCO17.index(n) for n in LIMBS]
GROUPS = {part + "s": [i for i, n in enumerate(LIMBS) if n.endswith(part)]
          for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
FEWEST = 8  # of the 12 joints triangulated
PIECES = 4  # of each camera's take, for the interval
NEEDS = ("joints2d_px", "joints3d_world_m", "valid", "names_body25b", "K", "dist", "R_w2c", "center_m", "fps")


@dataclass(frozen=True)
class View:
    """One camera. Pixels are undistorted; limbs in its axes, metres."""

    keypoints: np.ndarray  # (T, 23, 3) OpenPose's
    truth: np.ndarray  # (T, 12, 3)
    good: np.ndarray  # (T, 12) bool
    times: np.ndarray  # (T,) seconds
    intrinsics: np.ndarray  # (3, 3)
    distortion: np.ndarray  # (5,)

    def flattened(self, keypoints: np.ndarray) -> np.ndarray:
        """(T, J, 3+) pixels without the lens's distortion."""
        import cv2

        out = keypoints.astype(np.float64)
        flat = cv2.undistortPoints(out[..., :2].reshape(-1, 1, 2), self.intrinsics, self.distortion, P=self.intrinsics)
        out[..., :2] = flat.reshape(out[..., :2].shape)
        return out


def read_views(path: Path) -> list[View]:
    """Raises KeypointFileError when the file lacks something."""
    try:
        with np.load(path, allow_pickle=False) as z:
            data = {name: z[name] for name in NEEDS}
        names = [str(n) for n in data["names_body25b"]]
        feet = {"big_toe": "bigtoe", "small_toe": "smalltoe", "heel": "heel"}
        order = [*range(17), *(names.index(f"{n[0]}_{feet[n.split('_', 1)[1]]}") for n in FEET6)]
    except (OSError, ValueError, KeyError) as error:
        raise KeypointFileError(f"{path} is not a four-camera file ({error}).",
                                f"It needs the arrays {', '.join(NEEDS)}.") from error
    views = []
    for i, (k, distortion) in enumerate(zip(data["K"], data["dist"])):
        points = data["joints2d_px"][i][:, order].astype(np.float64)
        truth = (data["joints3d_world_m"][:, ROWS] - data["center_m"][i]) @ data["R_w2c"][i].T
        good = data["valid"][:, ROWS] & np.isfinite(truth).all(-1)
        view = View(points, np.nan_to_num(truth), good, np.arange(len(points)) / float(data["fps"]), k, distortion)
        views.append(View(view.flattened(points), *(getattr(view, n) for n in list(View.__dataclass_fields__)[1:])))
    return views


def measure_views(network: Network, views: list[View], footage: list[Path], work: Path) -> dict[str, dict]:
    """Row -> {"camera 0": mean mm, …, "all": Estimate, "by limb": {…}}; PA error over 12 limb joints.

    footage: the cameras' own videos in their order, as many as there are; they are solved with the product's own
    detectors, and BlazePose's landmarks are measured on them. work: folder in which detections are kept.
    """
    rows: dict[str, list[np.ndarray]] = {}

    def add(name: str, view: View, found: np.ndarray) -> None:
        error = np.full(view.good.shape, np.nan)
        use = (view.good.sum(1) >= FEWEST) & np.isfinite(found).all((1, 2))
        error[use] = 1000 * procrustes_error(found[use].astype(np.float64), view.truth[use],
                                             view.good[use].astype(float))
        rows.setdefault(name, []).append(np.where(view.good, error, np.nan))

    for view in views:
        joints = network.lift(view.keypoints, view.intrinsics, definition=0.0).joints
        add("OpenPose keypoints, one frame", view, J.detector_points(joints, J.DRAWN)[:, ROWS])
        add("OpenPose keypoints, whole take", view, _solved(network, view, view.keypoints, "other"))
    for i, (view, path) in enumerate(zip(views, footage)):
        keypoints, landmarks = _detected(path, view, work / f"camera{i}.npz")
        keypoints = view.flattened(keypoints)
        seen = np.isfinite(keypoints[:, :17, 0]).any(1)
        joints = np.full((len(keypoints), J.COUNT, 3), np.nan)
        joints[seen] = network.lift(keypoints[seen], view.intrinsics, definition=1.0).joints
        add("our detectors, one frame", view, J.detector_points(joints, J.DRAWN)[:, ROWS])
        add("our detectors, whole take", view, _solved(network, view, keypoints, "movenet"))
        add("BlazePose's own depth", view, landmarks[:, ROWS])
    return {name: _row(errors) for name, errors in rows.items()}


def _solved(network: Network, view: View, keypoints: np.ndarray, detector: str) -> np.ndarray:
    motion = solve_motion(keypoints, view.times, view.intrinsics, network, detector=detector)
    out = np.full((len(keypoints), J.COUNT, 3), np.nan)
    at = np.flatnonzero(motion.valid)
    out[at] = network.points(motion.joints[at], np.tile(motion.shape, (len(at), 1)))
    return J.detector_points(out, J.DRAWN)[:, ROWS]


def _row(errors: list[np.ndarray]) -> dict:
    every = np.concatenate(errors)
    piece = np.concatenate([PIECES * camera + np.arange(len(e)) * PIECES // len(e) for camera, e in enumerate(errors)])

    def over_pieces(joints: list[int]):
        return over_clips(np.nanmean(np.where(np.isfinite(every[:, joints]).any(1, keepdims=True), every[:, joints],
                                              np.inf), 1), piece)

    return {**{f"camera {i}": float(np.nanmean(e)) for i, e in enumerate(errors)},
            "all": over_pieces(list(range(len(LIMBS)))), "by limb": {n: over_pieces(g) for n, g in GROUPS.items()}}


def _detected(path: Path, view: View, kept: Path) -> tuple[np.ndarray, np.ndarray]:
    """Our keypoints (T, 23, 3) of the person whom the reference means, and BlazePose's landmarks (T, 17, 3)."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with detected_take(path, kept.parent) as take:
            people = {p: take.keypoints(p) for p in take.people}
        if len(take) != len(view.truth):
            raise KeypointFileError(f"{path} has {len(take)} frames, the reference {len(view.truth)}.",
                                    "Give the cameras' own videos, in the reference's order.")
        truth = view.keypoints[:, ROWS]
        distance = {p: np.nanmedian(np.linalg.norm(k[:, ROWS, :2] - truth[..., :2], axis=-1))
                    for p, k in people.items()}
        keypoints = people[min(distance, key=lambda p: distance[p])]
        depth = BlazePoseDepth()
        landmarks = [depth(frame.image, k[:17]) for frame, k in zip(open_footage(path).frames(), keypoints)]
        np.savez(kept, keypoints=keypoints, landmarks=np.array(landmarks))
    with np.load(kept, allow_pickle=False) as z:
        return z["keypoints"], z["landmarks"]
