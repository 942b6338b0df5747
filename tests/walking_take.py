"""A real take folder of skinned bodies that walk, made without footage, detector or network."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from pose2mesh_blender.core.body import Body, load_body
from pose2mesh_blender.core.take import Take

SIZE, FPS = (640, 480), 30.0
INTRINSICS = np.array([[600.0, 0, 330], [0, 600, 250], [0, 0, 1]])  # principal point off the middle
CAMERA_FROM_BODY = np.diag([1.0, -1.0, -1.0])  # the body faces the camera
# the camera looks along the world's +y from 1.2 m above the ground, 10 degrees down
TILT = np.deg2rad(10)
WORLD_FROM_CAMERA = np.array([[1, 0, 0, 0], [0, -np.sin(TILT), np.cos(TILT), 0],
                              [0, -np.cos(TILT), -np.sin(TILT), 1.2], [0, 0, 0, 1]])


def _about(axis: int, angles: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) by `angles` (N,) about a coordinate axis."""
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.tile(np.eye(3), (len(angles), 1, 1))
    out[:, a, a] = out[:, b, b] = np.cos(angles)
    out[:, b, a], out[:, a, b] = np.sin(angles), -np.sin(angles)
    return out


def walk(count: int, body: Body, phase: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (count, 6890, 3) and joints (count, 24, 3), root-relative, of a walk on the spot, body axes."""
    t = np.arange(count) / FPS * 2 * np.pi + phase
    local = np.tile(np.eye(3), (24, count, 1, 1))
    local[1], local[2] = _about(0, -0.5 * np.sin(t)), _about(0, 0.5 * np.sin(t))
    local[4], local[5] = _about(0, 0.4 + 0.4 * np.cos(t)), _about(0, 0.4 - 0.4 * np.cos(t))
    swing = _about(0, 0.6 * np.sin(t))
    local[16] = swing @ _about(2, np.full(count, -1.2))
    local[17] = swing.transpose(0, 2, 1) @ _about(2, np.full(count, 1.2))
    rotations = local.copy()
    for joint in range(1, 24):
        rotations[joint] = rotations[body.parents[joint]] @ local[joint]
    vertices, joints = body.pose(rotations.transpose(1, 0, 2, 3).astype(np.float32), np.zeros((count, 16), np.float32))
    pelvis = body.regress("h36m17", vertices)[:, :1]
    return (vertices - pelvis).astype(np.float32), (joints - pelvis).astype(np.float32)


def make_take(folder: Path, count: int = 12, people: int = 1, *, first: int = 0, step: int = 1, fps: float = FPS,
              absent: slice | None = None, footage: Path | None = None, timestamps: np.ndarray | None = None) -> Take:
    """A finished take: `people` walkers side by side, the last of them away in rows `absent`.

    timestamps: (count,) seconds, default those of a constant rate.
    """
    body = load_body()
    frames = first + step * np.arange(count)
    timestamps = frames / fps if timestamps is None else timestamps
    take = Take.create(folder, frames=frames, timestamps=timestamps, image_size=SIZE, fps=fps, intrinsics=INTRINSICS,
                       footage={"path": str(footage), "identity": {}, "kind": "video"} if footage else {})
    take.info["world_from_camera"] = WORLD_FROM_CAMERA.tolist()
    take.set_people({i: f"Person {i + 1}" for i in range(people)})
    for person in range(people):
        vertices, joints = walk(count, body, phase=person)
        vertices, joints = (x @ CAMERA_FROM_BODY.T.astype(np.float32) for x in (vertices, joints))
        place = np.array([0.9 * person - 0.4, 0.1, 4.0]) + np.linspace(0, 1, count)[:, None] * [0.3, 0, -0.8]
        rows = np.arange(count)
        if absent and person == people - 1:
            rows = np.delete(rows, absent)
        take.set_keypoints(person, np.full((count, 23, 3), np.nan, np.float32))
        take.prepare_mesh(person, np.zeros(16))
        take.write_mesh(person, rows, vertices[rows], place[rows], joints[rows])
    take.mark_detected(np.arange(count))
    take.mark_solved(np.arange(count))
    take.save()
    return take


def world_vertices(take: Take, person: int, row: int) -> np.ndarray:
    """(6890, 3) where the mesh must be in Blender's world."""
    world = take.world_from_camera
    return (take.vertices(person)[row] + take.translation(person)[row]) @ world[:3, :3].T + world[:3, 3]
