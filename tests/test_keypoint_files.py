"""Keypoints of other programs: each format is read, and each wrong content is one line that names the file."""
from __future__ import annotations

import json

import numpy as np
import pytest

from pose2mesh_blender.core.errors import KeypointFileError
from pose2mesh_blender.core.keypoint_files import is_keypoint_input, read_keypoint_file
from pose2mesh_blender.core.pipeline import Settings, take_for_keypoints
from pose2mesh_blender.core.skeletons import COCO17, SKELETONS

SIZE = (640, 480)


def person(skeleton: str, x: float = 300.0, frames: int = 4) -> np.ndarray:
    """(T, J, 3): a column of joints that drifts to the right."""
    count = len(SKELETONS[skeleton])
    points = np.empty((frames, count, 3), np.float32)
    points[..., 0] = x + np.arange(frames)[:, None] * 3 + 20 * np.sin(np.arange(count))
    points[..., 1] = np.linspace(100, 400, count)
    points[..., 2] = 0.9
    return points


def save(path, **changes):
    values = {"keypoints": person("coco17"), "skeleton": "coco17", "image_size": SIZE, **changes}
    np.savez(path, **{k: v for k, v in values.items() if v is not None})
    return path


@pytest.mark.parametrize("skeleton", sorted(SKELETONS))
def test_npz_of_every_skeleton(tmp_path, skeleton):
    points = person(skeleton)
    sequence = read_keypoint_file(save(tmp_path / "k.npz", keypoints=points, skeleton=skeleton, fps=25))
    assert sequence.keypoints.shape == (1, 4, 23, 3) and sequence.keypoints.dtype == np.float32
    assert sequence.image_size == SIZE and sequence.fps == 25 and sequence.intrinsics is None
    names = SKELETONS[skeleton].joints
    np.testing.assert_array_equal(sequence.keypoints[0, :, 9], points[:, names.index("left_wrist")])


def test_npz_of_several_people_with_camera_and_missing_joints(tmp_path):
    points = np.stack([person("coco17"), person("coco17", 100)])
    points[1, 2:] = np.nan
    points[0, 0, 5, 2] = 0
    camera = np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]])
    sequence = read_keypoint_file(save(tmp_path / "k.npz", keypoints=points, intrinsics=camera))
    assert sequence.keypoints.shape[0] == 2 and np.array_equal(sequence.intrinsics, camera)
    assert np.isnan(sequence.keypoints[1, 2:, :, :2]).all() and (sequence.keypoints[1, 2:, :, 2] == 0).all()
    assert np.isnan(sequence.keypoints[0, 0, 5, 0]) and np.isfinite(sequence.keypoints[0, 0, 6]).all()
    assert np.isnan(sequence.keypoints[0, :, 17:, 0]).all()


WRONG = {
    "all NaN": ({"keypoints": np.full((3, 17, 3), np.nan)}, "every keypoint is missing"),
    "joint count": ({"keypoints": person("body25")}, "17 joints, the keypoints have 25"),
    "no confidence": ({"keypoints": np.ones((3, 17, 2))}, "have shape"),
    "one frame too flat": ({"keypoints": np.ones((17, 3))}, "have shape"),
    "negative size": ({"image_size": (-640, 480)}, "two positive whole numbers"),
    "zero size": ({"image_size": (0, 480)}, "two positive whole numbers"),
    "three sizes": ({"image_size": (1, 2, 3)}, "image_size must be"),
    "text as size": ({"image_size": "large"}, "image_size must be"),
    "text as keypoints": ({"keypoints": np.full((3, 17, 3), "x")}, "not numbers"),
    "unknown skeleton": ({"skeleton": "dog"}, "unknown skeleton"),
    "no keypoints": ({"keypoints": None}, "has no keypoints"),
    "no size": ({"image_size": None}, "has no image_size"),
    "no frames": ({"keypoints": np.ones((0, 17, 3))}, "no frames"),
    "infinite": ({"keypoints": np.full((3, 17, 3), np.inf)}, "infinite"),
    "far outside": ({"keypoints": person("coco17") * [100, 100, 1]}, "far outside"),
    "fractions": ({"keypoints": person("coco17") / [640, 480, 1]}, "fractions"),
    "confidence 0..100": ({"keypoints": person("coco17") * [1, 1, 100]}, "the range is 0 to 1"),
    "negative confidence": ({"keypoints": person("coco17") * [1, 1, -1]}, "negative"),
    "negative fps": ({"fps": -5}, "fps must be"),
    "flat camera": ({"intrinsics": np.zeros((3, 3))}, "camera matrix"),
    "small camera": ({"intrinsics": np.eye(2)}, "camera matrix"),
    "objects": ({"keypoints": np.array([{"a": 1}], object)}, "Python objects"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_npz_is_one_line_with_file_and_cure(tmp_path, case):
    changes, expected = WRONG[case]
    path = save(tmp_path / "wrong file.npz", **changes)
    with pytest.raises(KeypointFileError) as error:
        read_keypoint_file(path)
    assert expected in str(error.value) and str(path) in str(error.value)
    assert "\n" not in str(error.value) and error.value.cure


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text that is no archive"])
@pytest.mark.parametrize("name", ["k.npz", "k.json"])
def test_files_that_are_something_else(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(KeypointFileError, match="cannot be read"):
        read_keypoint_file(path)


def test_missing_file(tmp_path):
    with pytest.raises(KeypointFileError, match="does not exist"):
        read_keypoint_file(tmp_path / "gone.npz")


def openpose(folder, people_per_frame):
    folder.mkdir()
    for number, people in enumerate(people_per_frame):
        content = {"version": 1.3, "people": [{"pose_keypoints_2d": p.ravel().tolist()} for p in people]}
        (folder / f"clip_{number:012d}_keypoints.json").write_text(json.dumps(content))
        (folder / f"._clip_{number:012d}_keypoints.json").write_bytes(b"\0\5\x16\7")  # what macOS leaves
    return folder


def test_openpose_people_are_matched_over_time(tmp_path):
    left, right = person("body25", 120, 6), person("body25", 480, 6)
    frames = [[left[t], right[t]] if t % 2 else [right[t], left[t]] for t in range(6)]  # the files' order changes
    frames[0][0][3] = 0  # OpenPose writes zeros for a missing joint
    folder = openpose(tmp_path / "op", frames)
    assert is_keypoint_input(folder)
    sequence = read_keypoint_file(folder, image_size=SIZE, fps=25)
    assert sequence.skeleton == "body25" and sequence.keypoints.shape == (2, 6, 23, 3)
    middle = np.nanmean(sequence.keypoints[..., 0], axis=2)
    assert (np.abs(np.diff(middle, axis=1)) < 40).all() and abs(middle[0, 0] - middle[1, 0]) > 200


def test_openpose_needs_a_picture_size_and_people(tmp_path):
    folder = openpose(tmp_path / "op", [[person("body25")[0]]])
    with pytest.raises(KeypointFileError, match="--image-size"):
        read_keypoint_file(folder)
    with pytest.raises(KeypointFileError, match="nobody"):
        read_keypoint_file(openpose(tmp_path / "empty", [[], []]), image_size=SIZE)
    bad = openpose(tmp_path / "bad", [[person("coco17")[0][:11]]])
    with pytest.raises(KeypointFileError, match="11 joints"):
        read_keypoint_file(bad, image_size=SIZE)


def results(path, skeleton, track_ids):
    entries = []
    for slot, x in enumerate((120, 480)):
        for t, points in enumerate(person(skeleton, x, 5)):
            entry = {"image_id": f"{t}.jpg", "category_id": 1, "keypoints": points.ravel().tolist(), "score": 2.5}
            entries.append(entry | ({"idx": slot + 1} if track_ids else {}))
    path.write_text(json.dumps(entries))
    return path


@pytest.mark.parametrize(("skeleton", "track_ids"), [("coco17", False), ("halpe26", True), ("wholebody133", False)])
def test_coco_results_and_alphapose(tmp_path, skeleton, track_ids):
    sequence = read_keypoint_file(results(tmp_path / "r.json", skeleton, track_ids), image_size=SIZE)
    assert sequence.skeleton == skeleton and sequence.keypoints.shape == (2, 5, 23, 3) and sequence.fps == 30
    middle = np.nanmean(sequence.keypoints[..., :17, 0], axis=2)
    assert (np.abs(np.diff(middle, axis=1)) < 40).all() and abs(middle[0, 0] - middle[1, 0]) > 200


def test_coco_annotations_bring_their_size(tmp_path):
    points = person("coco17")
    content = {"images": [{"id": i, "width": 640, "height": 480} for i in range(4)],
               "annotations": [{"image_id": i, "keypoints": p.ravel().tolist()} for i, p in enumerate(points)]}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    sequence = read_keypoint_file(path)
    assert sequence.image_size == SIZE and sequence.keypoints.shape == (1, 4, 23, 3)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '[{"image_id": 1}]', '[{"image_id": 1, "keypoints": [1, 2]}]',
                                     '[{"image_id": 1, "keypoints": "text"}]', '[5]'])
def test_other_json_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(KeypointFileError) as error:
        read_keypoint_file(path, image_size=SIZE)
    assert str(path) in str(error.value) and error.value.cure


def test_the_first_17_are_in_cocos_order():
    assert COCO17[:3] == ("nose", "left_eye", "right_eye") and SKELETONS["body23"].joints[:17] == COCO17


def test_another_number_of_people_is_chosen_again(tmp_path):
    np.savez(tmp_path / "two.npz", keypoints=np.stack([person("coco17"), person("coco17", 100)]), skeleton="coco17",
             image_size=SIZE)
    sequence = read_keypoint_file(tmp_path / "two.npz")
    for people, kept in ((None, 2), (1, 1), (2, 2)):
        with take_for_keypoints(sequence, tmp_path / "take", Settings(people=people)) as take:
            assert len(take.people) == kept and take.detected.all()
            assert all(np.isfinite(take.keypoints(p)[:, :17]).all() for p in take.people)
