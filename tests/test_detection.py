"""The real detectors on real frames: people, limbs, feet, sides, and what is not there."""
from __future__ import annotations

import numpy as np
import pytest

from pose2mesh_blender.core.detection import PoseEstimator
from pose2mesh_blender.core.detection.appearance import clothes, likeness
from pose2mesh_blender.core.detection.blazepose import feet, fused
from pose2mesh_blender.core.detection.hands import HandLandmarks, region_from_arm, region_from_landmarks
from pose2mesh_blender.core.detection.sessions import providers_for
from pose2mesh_blender.core.detection.similarity import MIRROR, box_overlap, keypoint_similarity
from pose2mesh_blender.core.errors import DeviceError
from pose2mesh_blender.core.footage import open_footage
from pose2mesh_blender.core.imaging import crop_square, to_image

# Frame 0 of the demo clip, by eye: pixels of the 540 x 960 picture
MAN = {5: (260, 245), 6: (195, 238), 7: (266, 308), 8: (147, 300), 9: (282, 375), 10: (133, 368), 11: (230, 368),
       12: (186, 358), 13: (226, 452), 14: (182, 450), 15: (208, 538), 16: (163, 525), 17: (215, 572), 20: (172, 552)}


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    from conftest import ROOT

    return [f.image for f in open_footage(ROOT / "tests" / "data" / "demo" / "demo.mp4").frames(0, 11)]


@pytest.fixture(scope="module")
def accurate() -> PoseEstimator:
    return PoseEstimator("accurate", "cpu")


def test_accurate_finds_the_man_and_the_bystander(frames, accurate):
    accurate.reset()
    people = accurate.estimate(frames[0])
    assert len(people) == 2
    man, bystander = people
    for joint, place in MAN.items():
        assert np.hypot(*(man.keypoints[joint, :2] - place)) < 25, joint
        assert man.keypoints[joint, 2] > 0.4, joint
    assert bystander.keypoints[[5, 6, 11, 12], 0].max() < 70  # at the left edge
    for person in people:
        assert person.keypoints.shape == (23, 3) and person.keypoints.dtype == np.float32
        assert np.isfinite(person.keypoints[:17]).all()
        assert np.isnan(person.keypoints[[18, 21], :2]).all() and (person.keypoints[[18, 21], 2] == 0).all()
    # heels lie behind the toes, both below the ankles
    assert man.keypoints[[17, 20], 1].min() > man.keypoints[[15, 16], 1].min()


def test_following_agrees_with_looking_afresh(frames, accurate):
    accurate.reset()
    followed = [accurate.estimate(image) for image in frames][-1]
    accurate.reset()
    fresh = accurate.estimate(frames[-1])
    assert len(followed) == len(fresh) == 2
    apart = np.hypot(*(followed[0].keypoints - fresh[0].keypoints)[:17, :2].T)
    assert np.median(apart) < 6 and apart[5:17].max() < 30  # the man is 330 pixels tall


def test_state_carries_over(frames, accurate):
    accurate.reset()
    for image in frames[:4]:
        accurate.estimate(image)
    state = accurate.to_state()
    expected = [accurate.estimate(image) for image in frames[4:6]]
    accurate.reset()
    accurate.from_state(state)
    found = [accurate.estimate(image) for image in frames[4:6]]
    for a, b in zip(expected, found, strict=True):
        assert [p.keypoints.tobytes() for p in a] == [p.keypoints.tobytes() for p in b]


def test_fast_has_no_feet_and_follows_the_same_people(frames, accurate):
    fast = PoseEstimator("fast", "cpu")
    people = [fast.estimate(image) for image in frames[:3]][-1]
    assert len(people) == 2
    assert np.isnan(people[0].keypoints[17:, :2]).all()
    for joint, place in MAN.items():
        if joint < 17:
            assert np.hypot(*(people[0].keypoints[joint, :2] - place)) < 35, joint


def test_nobody_in_noise_and_in_black(accurate):
    accurate.reset()
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert accurate.estimate(noise) == []
    assert accurate.estimate(np.zeros((300, 400, 3), np.uint8)) == []
    assert accurate.estimate(np.zeros((1, 1, 3), np.uint8)) == []


def test_small_people_are_found(frames, accurate):
    small = np.full((1080, 1920, 3), 120, np.uint8)
    crop, _ = crop_square(frames[0], (200, 400), 600, 0.0, 300)
    small[500:800, 900:1200] = crop
    accurate.reset()
    people = accurate.estimate(small)
    assert people
    expected = (np.array(MAN[5]) - (200 - 300, 400 - 300)) / 2 + (900, 500)
    assert min(np.hypot(*(p.keypoints[5, :2] - expected)) for p in people) < 15


def test_max_people(frames):
    assert len(PoseEstimator("fast", "cpu", max_people=1).estimate(frames[0])) == 1


def test_feet_are_dropped_where_the_networks_disagree():
    body = np.zeros((17, 3), np.float32)
    body[:, 0], body[:, 1], body[:, 2] = 100 + 20 * (np.arange(17) % 2), np.linspace(0, 320, 17), 0.9
    landmarks = np.zeros((33, 4))
    landmarks[:, 2:] = 0.95
    landmarks[23:29, :2] = body[11:17, :2]
    landmarks[29:33, :2] = [[100, 330], [120, 330], [90, 340], [130, 340]]
    found = feet(body, landmarks)
    assert np.allclose(found[[0, 2, 3, 5], :2], [[90, 340], [100, 330], [130, 340], [120, 330]])
    assert (found[[0, 2, 3, 5], 2] > 0.8).all() and np.isnan(found[[1, 4], :2]).all()
    swapped = landmarks.copy()
    swapped[23:33] = landmarks[[24, 23, 26, 25, 28, 27, 30, 29, 32, 31]]
    body[13:17, 0] = [60, 160, 60, 160]
    landmarks[25:29, 0] = [160, 60, 160, 60]
    assert np.allclose(feet(body, landmarks)[0, :2], [130, 340])  # BlazePose's right foot is the left one
    landmarks[27] = [60, 200, 0.9, 0.9]
    landmarks[25:27, 0] = [60, 160]
    assert np.isnan(feet(body, landmarks)[0, 0])
    assert np.isnan(feet(body, None)[:, 0]).all()


def test_fusing_mixes_what_agrees_and_leaves_hips_alone():
    body = np.zeros((17, 3), np.float32)
    body[:, 1], body[:, 2] = np.linspace(0, 400, 17), 0.9
    landmarks = np.zeros((33, 4))
    landmarks[[0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28], :2] = body[:, :2]
    landmarks[:, 2:] = 1.0
    landmarks[25] += [4, 0, 0, 0]    # left knee: 1 % apart
    landmarks[28] += [40, 0, 0, 0]   # right ankle: 10 % apart
    landmarks[23:25, 1] += 8         # hips: another definition
    out = fused(body, landmarks)
    assert 1.5 < out[13, 0] < 2.0 and out[16, 0] == 0 and np.allclose(out[11:13], body[11:13])


def test_similarity():
    rng = np.random.default_rng(0)
    person = np.column_stack([rng.uniform(0, 100, 17), np.linspace(0, 300, 17), np.full(17, 0.9)])
    assert keypoint_similarity(person, person) == pytest.approx(1)
    assert keypoint_similarity(person, person[MIRROR]) == pytest.approx(1)
    assert keypoint_similarity(person, person + [400, 0, 0]) < 0.01
    assert box_overlap(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2])) == pytest.approx(1 / 3)


def test_clothes_tell_people_apart(frames, accurate):
    accurate.reset()
    man, bystander = accurate.estimate(frames[0])
    later, _ = accurate.estimate(frames[1])
    assert likeness(man.appearance, later.appearance) > 0.9
    assert likeness(man.appearance, bystander.appearance) < likeness(man.appearance, later.appearance) - 0.1
    assert clothes(frames[0], np.zeros((17, 3))) is None and likeness(None, man.appearance) is None


def test_hands_are_gated(frames, accurate):
    """The man's hands are some 20 pixels: nothing usable. Regions follow their definition."""
    accurate.reset()
    man = accurate.estimate(frames[0])[0]
    network = HandLandmarks("cpu")
    for side in ("left", "right"):
        found = network.hand(frames[0], man.keypoints, side)
        assert found is None or found[0, 2] > 0.5
    assert network.hand(np.zeros((200, 200, 3), np.uint8), man.keypoints, "left") is None
    centre, side, rotation = region_from_arm(man.keypoints, "left")
    arm = man.keypoints[9, :2] - man.keypoints[7, :2]
    up = to_image(np.array([[0.0, 0.0], [0.0, 1.0]]), crop_square(frames[0], centre, side, rotation, 8)[1])
    assert (up[0] - up[1]) @ arm > 0.99 * np.hypot(*arm) * np.hypot(*(up[0] - up[1]))  # fingers point up in the crop
    hand = np.zeros((21, 2))
    hand[:, 1] = -np.arange(21.0)
    assert region_from_landmarks(hand)[2] == pytest.approx(0)


def test_threads_reach_onnx_runtime_and_make_other_networks():
    from pose2mesh_blender.core.detection import sessions
    from pose2mesh_blender.core.pipeline import Engines

    engines = Engines()
    try:
        automatic = engines.network("cpu")
        assert 1 <= sessions.thread_count() <= 4
        sessions.use_threads(3)
        three = engines.network("cpu")
        assert three is not automatic and three is engines.network("cpu")
        assert [n._session.get_session_options().intra_op_num_threads for n in three._networks] == [3] * 4
        sessions.use_threads(0)
        assert engines.network("cpu") is automatic
    finally:
        sessions.use_threads(0)


def test_devices():
    assert providers_for("cpu") == ["CPUExecutionProvider"]
    assert providers_for("auto")[-1] == "CPUExecutionProvider"
    with pytest.raises(DeviceError, match="no device 'abacus'"):
        providers_for("abacus")
    with pytest.raises(ValueError, match="preset"):
        PoseEstimator("slow")
