"""COCO keypoints (Lin et al. 2014) with SMPL fits, in either of two official layouts.

    person_keypoints_train2017.json (cocodataset.org) or coco_wholebody_train_v1.0.json, which has feet
    coco_smplify_train.json          {annotation: {smpl_param: {pose (72), shape (10)}, cam_param: {s, t}}}
        (github.com/hongsukchoi/Pose2Mesh_RELEASE, data/COCO/dataset.py), or
    MSCOCO_train_SMPL_NeuralAnnot.json  {annotation: {smpl_param: {pose, shape, trans}, cam_param: {focal, princpt}}}
        (github.com/mks0601/NeuralAnnot_RELEASE, read as in Hand4Whole_RELEASE, data/MSCOCO/MSCOCO.py)

Both fits look at the person through a camera of the crop, so rotations are in the axes of a camera aimed at the person.
The pictures' own focal lengths are unknown: we take the angle that the product takes. Cameras are taken to be level.
One picture in twenty is held out.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...core.camera import intrinsics_from_fov
from .files import DataError, array, field, find, read_json, tables
from .record import Clip, chosen_for_test, stills

CURE = ("Give the folder with person_keypoints_train2017.json (or coco_wholebody_train_v1.0.json) and "
        "coco_smplify_train.json (or MSCOCO_train_SMPL_NeuralAnnot.json).")
CERTAIN, COVERED = 0.8, 0.5  # confidence of a visible keypoint, and of one that the annotator guessed
FEWEST = 6  # keypoints


def clips(path: Path) -> Iterator[Clip]:
    """Two clips of stills: the training pictures, then those that are held out. Raises DataError."""
    if not path.is_dir():
        raise DataError(f"{path} is no folder.", CURE)
    annotations = find(path, ("person_keypoints_train*.json", "coco_wholebody_train*.json"), "COCO's keypoints")[0]
    fit_file = find(path, ("coco_smplify_train.json", "MSCOCO*_SMPL_NeuralAnnot.json"), "SMPL fits to COCO")[0]
    fits, table = read_json(fit_file, CURE), read_json(annotations, CURE)
    sizes = {}
    for picture in tables(annotations, table, "images", CURE):
        width, height = (field(annotations, picture, key, cure=CURE) for key in ("width", "height"))
        sizes[str(picture.get("id"))] = array(annotations, "size of a picture", [width, height], (2,), CURE)
    rows: dict[bool, list[tuple]] = {False: [], True: []}
    for one in tables(annotations, table, "annotations", CURE):
        fit = fits.get(str(one.get("id")))
        if fit is None or one.get("iscrowd") or str(one.get("image_id")) not in sizes:
            continue
        keypoints = np.zeros((23, 3), np.float32)
        for start, end, key in ((0, 17, "keypoints"), (17, 23, "foot_kpts")):
            if key in one:
                keypoints[start:end] = array(annotations, f"{key} of annotation {one['id']}", _triples(one[key]),
                                             (end - start, 3), CURE)
        visible = keypoints[:, 2]
        keypoints[:, 2] = np.where(visible >= 2, CERTAIN, np.where(visible > 0, COVERED, 0))
        if (keypoints[:, 2] > 0).sum() >= FEWEST:
            pose, shape = (array(fit_file, f"{key} of {one['id']}", field(fit_file, fit, "smpl_param", key, cure=CURE),
                                 (size,), CURE) for key, size in (("pose", 72), ("shape", 10)))
            k = intrinsics_from_fov(*sizes[str(one["image_id"])])
            rows[chosen_for_test(str(one["image_id"]))].append((keypoints, k, pose, shape))
    if not rows[False] and not rows[True]:
        raise DataError(f"No fit of {fit_file} belongs to an annotation of {annotations}.", CURE)
    for held_out, found in rows.items():
        if found:
            yield stills(f"coco {fit_file.name}", held_out, found, exact=False, aimed=True)


def _triples(numbers: Any) -> Any:
    return [numbers[i:i + 3] for i in range(0, len(numbers), 3)] if isinstance(numbers, list) else numbers
