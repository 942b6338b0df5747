"""Left and right of a detector that confuses them."""
from pathlib import Path

import numpy as np
import pytest
from people import INTRINSICS, keypoints_of, walk

from pose2mesh_blender.core.body import embedded_body
from pose2mesh_blender.core.camera import project
from pose2mesh_blender.core.network import joints as J
from pose2mesh_blender.core.network.engine import load_network
from pose2mesh_blender.core.sides import ARMS, exchanged, mistaken
from pose2mesh_blender.core.skeletons import BODY23_FLIP
from pose2mesh_blender.core.solve import solve_motion
from pose2mesh_blender.training.detections import load

WHOLE, LEGS = slice(20, 23), slice(40, 43)  # frames in which all of the body, or only the legs, face the wrong way


@pytest.fixture(scope="module")
def confused() -> tuple[np.ndarray, np.ndarray]:
    """Somebody walking away: the true keypoints (60, 23, 3) and those of a confused detector."""
    vertices, _ = walk(60, yaw=np.pi)
    true = keypoints_of(vertices, np.tile([0, 0, 4.0], (60, 1)))
    found = true.copy()
    found[WHOLE] = true[WHOLE][:, BODY23_FLIP]
    found[LEGS, 11:] = true[LEGS][:, BODY23_FLIP][:, 11:]
    return true, found


def test_sides_are_taken_from_the_take(confused: tuple[np.ndarray, np.ndarray]) -> None:
    true, found = confused
    lift = load_network("cpu").lift_take(found, np.arange(60) / 30, INTRINSICS)
    wrong = mistaken(lift.joints, found, INTRINSICS, 1.0)
    assert wrong[WHOLE].all() and wrong[LEGS, 1].all() and wrong.sum() == 9, "nothing else is touched"
    np.testing.assert_array_equal(exchanged(found, wrong)[:, 5:], true[:, 5:])


def test_keypoints_set_by_hand_keep_their_side(confused: tuple[np.ndarray, np.ndarray]) -> None:
    _, found = confused
    lift = load_network("cpu").lift_take(found, np.arange(60) / 30, INTRINSICS)
    by_hand = np.zeros((60, 23), bool)
    by_hand[21, 9] = True  # a wrist
    wrong = mistaken(lift.joints, found, INTRINSICS, 1.0, by_hand)
    assert not wrong[21, 0] and wrong[21, 1] and wrong[20].all()


def test_a_confused_detector_hardly_moves_the_solve(confused: tuple[np.ndarray, np.ndarray]) -> None:
    true, found = confused
    times, network = np.arange(60) / 30, load_network("cpu")
    a, b = (solve_motion(k, times, INTRINSICS, network) for k in (true, found))
    moved = np.linalg.norm(a.joints - b.joints, axis=-1)
    assert moved[WHOLE].mean() < .03 and moved[LEGS].mean() < .03


def test_real_detections_get_their_sides_back() -> None:
    """Our detectors on rendered people: wrong arms are mended, right ones stay."""
    pairs, network = load(Path(__file__).parent / "data/rendered/heldout.npz", embedded_body()), load_network("cpu")
    gain, changed = [], []
    for found, points, intrinsics, times in zip(np.nan_to_num(pairs["accurate"]), pairs["points"], pairs["intrinsics"],
                                                pairs["timestamps"]):
        true = project(points[:, J.BODY], intrinsics)[:, ARMS]
        size, seen = np.ptp(true, axis=(0, 1)).max(), (found[:, ARMS, 2] > 0)[..., None]
        wrong = mistaken(network.lift_take(found, times, intrinsics).joints, found, intrinsics, 1.0)[:, 0]
        off = [np.minimum(np.linalg.norm((k - true) * seen, axis=-1) / size, .15).mean(1)
               for k in (found[:, ARMS, :2], found[:, BODY23_FLIP[ARMS], :2])]
        gain.append(off[0] - off[1])
        changed.append(wrong & seen[..., 0].any(1))
    gain, changed = np.concatenate(gain), np.concatenate(changed)
    clearly = gain > .02
    assert clearly.sum() > 100 and changed[clearly].mean() > .45
    assert changed[gain < -.02].mean() < .005
