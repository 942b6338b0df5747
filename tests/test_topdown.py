"""A user's own top-down network takes MoveNet's place: heatmaps and SimCC, here from a network that sees colours."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_onnx as tiny

from pose2mesh_blender.core.detection import PoseEstimator, TopDownOnnx
from pose2mesh_blender.core.errors import AssetError

WIDTH, HEIGHT = 48, 64
DOTS = np.array([(150, 60), (130, 110), (170, 170)])  # red, green, blue, in pixels of the image


def colour_seeker(path: Path, joints: int, simcc: bool) -> Path:
    """Joint j lies where colour j % 3 is purest."""
    weights = np.full((joints, 3, 1, 1), -0.25, np.float32)
    weights[np.arange(joints), np.arange(joints) % 3] = 0.5
    nodes = [tiny.node("Conv", ["image", "w"], ["maps"])]
    outputs = {"maps": (1, joints, HEIGHT, WIDTH)}
    if simcc:
        nodes += [tiny.node("ReduceMax", ["maps"], ["x"], axes=[2], keepdims=0),
                  tiny.node("ReduceMax", ["maps"], ["y"], axes=[3], keepdims=0)]
        outputs = {"x": (1, joints, WIDTH), "y": (1, joints, HEIGHT)}
    return tiny.write(path, nodes, {"w": weights}, {"image": (1, 3, HEIGHT, WIDTH)}, outputs)


@pytest.fixture
def picture() -> np.ndarray:
    image = np.full((240, 300, 3), 128, np.uint8)
    for channel, (x, y) in enumerate(DOTS):
        image[y - 6:y + 6, x - 6:x + 6] = 0
        image[y - 6:y + 6, x - 6:x + 6, channel] = 255
    return image


@pytest.mark.parametrize("simcc", [False, True])
@pytest.mark.parametrize("joints", [17, 26])
def test_finds_the_dots(tmp_path, picture, simcc, joints):
    network = TopDownOnnx(colour_seeker(tmp_path / "net.onnx", joints, simcc), device="cpu")
    found = network.keypoints(picture, np.array([90.0, 20.0, 210.0, 220.0]))
    assert found.shape == (23, 3)
    # a cell of the network is 4 pixels of the image
    assert np.abs(found[:17, :2] - DOTS[np.arange(17) % 3]).max() < 7
    assert (found[:17, 2] > 0.5).all()
    assert np.isfinite(found[17:]).all() == (joints == 26)


def test_drops_into_the_estimator(tmp_path, demo_clip):
    from pose2mesh_blender.core.footage import open_footage

    image = next(iter(open_footage(demo_clip).frames())).image
    network = TopDownOnnx(colour_seeker(tmp_path / "net.onnx", 26, True), device="cpu", gain=100.0)
    people = PoseEstimator(device="cpu", body=network, max_people=1).estimate(image)
    assert len(people) == 1 and people[0].keypoints.shape == (23, 3)
    assert np.isfinite(people[0].keypoints).all()  # Halpe's 26 have all six foot keypoints


def test_refusals_name_the_file(tmp_path):
    with pytest.raises(AssetError, match=r"none\.onnx does not exist"):
        TopDownOnnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(AssetError, match=r"text\.onnx cannot be loaded"):
        TopDownOnnx(tmp_path / "text.onnx", device="cpu")
    flat = tiny.write(tmp_path / "flat.onnx", [tiny.node("Relu", ["image"], ["out"])], {}, {"image": (1, 10)},
                      {"out": (1, 10)})
    with pytest.raises(AssetError, match=r"flat\.onnx takes"):
        TopDownOnnx(flat, device="cpu")
    odd = TopDownOnnx(colour_seeker(tmp_path / "odd.onnx", 5, False), device="cpu")
    with pytest.raises(AssetError, match="5 joints"):
        odd.keypoints(np.zeros((50, 50, 3), np.uint8), np.array([0.0, 0.0, 50.0, 50.0]))
