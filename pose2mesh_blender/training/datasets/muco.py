"""MuCo-3DHP (Mehta et al. 2018, composed of MPI-INF-3DHP) in the layout of Pose2Mesh and of Moon's 3DMPPE.

    MuCo-3DHP.json   COCO-like: images {id, width, height, f (2), c (2)}, annotations {id, image_id,
                     keypoints_img (21, 2) pixels, keypoints_cam (21, 3) mm, optionally keypoints_vis (21)}
    smpl_param.json  {annotation: {pose (72), shape (10), trans (3) m}} in camera axes, or *SMPL_NeuralAnnot.json

As read by github.com/hongsukchoi/Pose2Mesh_RELEASE (data/MuCo/dataset.py): of each picture the nearest person, whom
nobody hides. The keypoints are projected mocap joints. Cameras are taken to be level. One picture in twenty is held
out.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...core.skeletons import BODY23
from .files import DataError, array, field, find, read_json, tables
from .record import Clip, camera_matrix, chosen_for_test, stills

CURE = "Give the folder with MuCo-3DHP.json and smpl_param.json."
JOINTS = ("head_top", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
          "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis",
          "spine", "head", "right_hand", "left_hand", "right_big_toe", "left_big_toe")
PELVIS = JOINTS.index("pelvis")
OURS = [(BODY23.index(name), number) for number, name in enumerate(JOINTS) if name in BODY23]


def clips(path: Path) -> Iterator[Clip]:
    """Two clips of stills: the training pictures, then those that are held out. Raises DataError."""
    if not path.is_dir():
        raise DataError(f"{path} is no folder.", CURE)
    annotations = find(path, ("MuCo-3DHP.json",), "MuCo-3DHP.json")[0]
    fit_file = find(path, ("smpl_param.json", "*SMPL_NeuralAnnot.json"), "SMPL fits to MuCo")[0]
    table, fits = read_json(annotations, CURE), read_json(fit_file, CURE)
    nearest: dict[str, tuple[float, dict, np.ndarray]] = {}
    for one in tables(annotations, table, "annotations", CURE):
        points = array(annotations, f"keypoints_cam of annotation {one.get('id')}",
                       field(annotations, one, "keypoints_cam", cure=CURE), (21, 3), CURE)
        number, depth = str(field(annotations, one, "image_id", cure=CURE)), float(points[PELVIS, 2])
        if number not in nearest or depth < nearest[number][0]:
            nearest[number] = depth, one, points
    rows: dict[bool, list[tuple]] = {False: [], True: []}
    for picture in tables(annotations, table, "images", CURE):
        if str(picture.get("id")) not in nearest:
            continue
        _, one, points = nearest[str(picture.get("id"))]
        fit = fits.get(str(one.get("id")))
        if fit is None or not _numbers(fit):
            continue
        name = f"annotation {one['id']}"
        pixels = array(annotations, f"keypoints_img of {name}", field(annotations, one, "keypoints_img", cure=CURE),
                       (21, 2), CURE)
        seen = array(annotations, f"keypoints_vis of {name}", one.get("keypoints_vis", np.ones(21)), (21,), CURE)
        width, height, f, c = (field(annotations, picture, key, cure=CURE) for key in ("width", "height", "f", "c"))
        size = array(annotations, "size of a picture", [width, height], (2,), CURE)
        inside = ((pixels >= 0) & (pixels < size)).all(-1)
        keypoints = np.zeros((23, 3), np.float32)
        for ours, theirs in OURS:
            keypoints[ours] = *pixels[theirs], inside[theirs] & (seen[theirs] > 0) & (points[theirs, 2] > 0)
        pose, shape = (array(fit_file, f"{key} of {name}", field(fit_file, fit, key, cure=CURE), (n,), CURE)
                       for key, n in (("pose", 72), ("shape", 10)))
        k = camera_matrix(*(array(annotations, "camera of a picture", value, (2,), CURE) for value in (f, c)))
        rows[chosen_for_test(str(picture["id"]))].append((keypoints, k, pose, shape))
    if not rows[False] and not rows[True]:
        raise DataError(f"No fit of {fit_file} belongs to a picture of {annotations}.", CURE)
    for held_out, found in rows.items():
        if found:
            yield stills(f"muco {annotations.name}", held_out, found, exact=True)


def _numbers(fit: dict) -> bool:
    """Some official fits failed and hold NaN."""
    try:
        return bool(np.isfinite(np.concatenate([np.ravel(fit[key]).astype(float) for key in ("pose", "shape")])).all())
    except (KeyError, TypeError, ValueError):
        return True  # damaged: read with a message
