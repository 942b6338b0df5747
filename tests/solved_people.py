"""A real take of people whom a detector would have seen: keypoints of skinned bodies, solved by the network."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from walking_take import INTRINSICS, SIZE, walk

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import project
from pose2mesh_blender.core.pipeline import Settings, solve_take
from pose2mesh_blender.core.take import Take

COUNT = 24
SMOOTH = 0.3


def solved_people(folder: Path, network, footage: Path | None = None) -> None:
    """Ann in all frames; Bob, whom the tracker took for a third person from row 14 on."""
    body = embedded_body()
    info = {"path": str(footage), "identity": {}, "kind": "video"} if footage else {}
    with Take.create(folder, frames=np.arange(COUNT), timestamps=np.arange(COUNT) / 30, image_size=SIZE, fps=30.0,
                     intrinsics=INTRINSICS, footage=info) as take:
        take.set_people({0: "Ann", 1: "Bob", 2: "Person 3"})
        rng = np.random.default_rng(0)
        for person, (left, rows) in {0: (-0.8, range(24)), 1: (0.8, range(14)), 2: (0.8, range(14, 24))}.items():
            vertices, _ = walk(COUNT, body, phase=left)
            points = np.concatenate([body.regress("coco17", vertices), body.regress("feet6", vertices)], 1)
            keypoints = np.full((COUNT, 23, 3), np.nan, np.float32)
            seen = project(points * [1, -1, -1] + [left, 0, 4], INTRINSICS) + rng.normal(0, 1.5, (COUNT, 23, 2))
            keypoints[..., 2] = 0
            keypoints[list(rows), :, :2] = seen[list(rows)]
            keypoints[list(rows), :, 2] = 0.9
            take.set_keypoints(person, keypoints)
        take.mark_detected(np.arange(COUNT))
        solve_take(take, network, Settings(smooth=SMOOTH))
