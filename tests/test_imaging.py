"""Square crops and resizing agree with OpenCV."""
from __future__ import annotations

import numpy as np
import pytest

from pose2mesh_blender.core.imaging import crop_square, resize_area, to_image

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    y, x = np.mgrid[:301, :203]
    noise = np.random.default_rng(0).integers(0, 60, (301, 203))
    return np.stack([x % 200, (y + noise) % 200, 90 + 90 * np.sin(x / 9) * np.cos(y / 7)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("centre", "side", "rotation"), [
    ((100, 150), 150, 0.0), ((100.3, 140.7), 333.3, 0.0), ((10, 290), 80, 0.0), ((100, 150), 120, 0.7),
    ((-20, -30), 200, -2.5), ((202, 300), 40, 3.0), ((5000, 5000), 50, 0.0)])
def test_crop_equals_warp_affine(image, centre, side, rotation):
    crop, affine = crop_square(image, centre, side, rotation, 96)
    expected = cv2.warpAffine(image, affine, (96, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    difference = np.abs(crop.astype(int) - expected)
    # OpenCV rounds positions to 1/32 pixel, this code to 1/256: strong edges differ by a few grey levels.
    assert difference.mean() < 0.6
    assert np.percentile(difference, 99) <= 6


def test_affine_maps_the_middle_of_the_crop_to_the_centre(image):
    _, affine = crop_square(image, (70, 90), 40, 0.5, 64)
    assert np.allclose(to_image(np.array([32.0, 32.0]), affine), (70, 90))


def test_tiny_and_strided_images():
    tiny = np.full((1, 1, 3), 200, np.uint8)
    crop, _ = crop_square(tiny, (0.5, 0.5), 4, 0.0, 8)
    assert crop.max() == 200 and crop[-1, -1].max() == 0
    wide = np.random.default_rng(1).integers(0, 256, (40, 80, 3)).astype(np.uint8)
    a, _ = crop_square(wide[:, ::2], (20, 20), 30, 0.0, 32)
    b, _ = crop_square(np.ascontiguousarray(wide[:, ::2]), (20, 20), 30, 0.0, 32)
    assert np.array_equal(a, b)


@pytest.mark.parametrize("size", [(64, 96), (33, 51), (203, 301)])
def test_resize_equals_area_filter(image, size):
    found = resize_area(image, *size)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    assert found.shape == expected.shape
    # swscale works in a colour-difference space: a few grey levels on strong colour edges
    assert np.abs(found.astype(int) - expected).mean() < 6
