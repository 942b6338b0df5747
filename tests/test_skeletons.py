"""Joint sets and their conversion to body23."""
import numpy as np
import pytest

from pose2mesh_blender.core.errors import KeypointFileError
from pose2mesh_blender.core.skeletons import BODY23, BODY23_FLIP, SKELETONS, convert


def test_sizes() -> None:
    sizes = {"body23": 23, "coco17": 17, "body25": 25, "blazepose33": 33, "halpe26": 26, "wholebody133": 133,
             "h36m17": 17, "mpii16": 16, "smpl24": 24}
    assert {name: len(s) for name, s in SKELETONS.items()} == sizes


@pytest.mark.parametrize("name", SKELETONS)
def test_named_joints_land_on_their_own_names(name: str) -> None:
    skeleton = SKELETONS[name]
    keypoints = np.stack([np.arange(len(skeleton)), np.arange(len(skeleton)) + .5, np.ones(len(skeleton))], -1)
    out = convert(keypoints, name)
    assert out.shape == (23, 3)
    for joint, row in zip(BODY23, out):
        if joint in skeleton.joints:
            assert row[0] == skeleton.joints.index(joint)
    limbs = [BODY23.index(f"{side}_{n}") for side in ("left", "right") for n in ("shoulder", "wrist", "hip", "ankle")]
    assert (out[limbs, 2] > 0).all(), "every set has the limbs"


def test_openpose_right_stays_right() -> None:
    keypoints = np.zeros((25, 3))
    keypoints[4] = (10, 20, .9)  # OpenPose's right wrist
    assert convert(keypoints, "body25")[10].tolist() == pytest.approx([10, 20, .9])


def test_missing_is_nan_and_zero() -> None:
    keypoints = np.ones((17, 3))
    keypoints[3, 0] = np.nan
    keypoints[5, 2] = 0
    out = convert(keypoints, "coco17")
    for joint in (3, 5, 17, 22):
        assert np.isnan(out[joint, :2]).all() and out[joint, 2] == 0


def test_flip_is_an_involution() -> None:
    assert (BODY23_FLIP[BODY23_FLIP] == np.arange(23)).all()
    assert BODY23[BODY23_FLIP[19]] == "right_heel"


def test_wrong_joint_count_is_named() -> None:
    with pytest.raises(KeypointFileError, match="17 joints"):
        convert(np.zeros((4, 25, 3)), "coco17")
    with pytest.raises(KeypointFileError, match="Unknown skeleton"):
        convert(np.zeros((4, 25, 3)), "body_25b")
