"""People whose truth is known: the embedded body in made-up poses, and what a camera sees of it."""
import numpy as np

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import project
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.skeletons import SMPL24_PARENTS

INTRINSICS = np.array([[1100.0, 0, 480], [0, 1100, 540], [0, 0, 1]])


def turn(axis: str, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return {"x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
            "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])}[axis]


def walk(count: int = 60, yaw: float = 0.0, pitch: float = 0.0, shape: np.ndarray | None = None
         ) -> tuple[np.ndarray, np.ndarray]:
    """Walking on the spot, arms hanging and swinging. yaw 0 faces the camera; pitch: the camera looks down, radians;
    shape: (16,) or (T, 16), None = the mean body.

    Returns vertices (T, 6890, 3), H36M pelvis at 0, camera axes (x right, y down, z forward), and global rotations.
    """
    local = np.tile(np.eye(3), (count, 24, 1, 1))
    for t in range(count):
        swing = .5 * np.sin(2 * np.pi * t / 30)
        local[t, 16], local[t, 17] = turn("x", swing) @ turn("z", -1.25), turn("x", -swing) @ turn("z", 1.25)
        local[t, 18], local[t, 19] = turn("y", -.3), turn("y", .3)
        local[t, 1], local[t, 2] = turn("x", -swing), turn("x", swing)
        local[t, 4], local[t, 5] = turn("x", max(0, -swing) + .1), turn("x", max(0, swing) + .1)
        local[t, 0] = np.diag([1.0, -1, -1]) @ turn("x", pitch) @ turn("y", yaw)
    for j in range(1, 24):
        local[:, j] = local[:, SMPL24_PARENTS[j]] @ local[:, j]
    body = embedded_body()
    shape = np.broadcast_to(np.zeros(16) if shape is None else shape, (count, 16)).astype(np.float32)
    vertices, _ = body.pose(local.astype(np.float32), shape)
    return vertices - body.regress("h36m17", vertices)[:, :1], local


def keypoints_of(vertices: np.ndarray, translation: np.ndarray, definition: float = 1.0) -> np.ndarray:
    """What the bundled detectors (definition 1) would answer without error: (T, 23, 3) pixels + confidence."""
    body = embedded_body()
    points = J.lift_points(vertices, body.regress("smpl24", vertices), body)
    pixels = project(J.detector_points(points, definition) + translation[:, None], INTRINSICS)
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), .7)], -1).astype(np.float32)
