"""The default texture: in SMPL's UV layout, without seams, as its script draws it."""

from __future__ import annotations

import numpy as np
import pytest

from pose2mesh_blender.core.assets import asset_path
from pose2mesh_blender.core.body import load_body

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def texture():
    """(1024, 1024, 3) float RGB."""
    path = asset_path("texture_default.jpg")
    assert path.stat().st_size < 600_000
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (1024, 1024, 3)
    return image[..., ::-1].astype(np.float64)


def at(texture, uv):
    size = len(texture)
    column = np.clip(uv[..., 0] * size, 0, size - 1).astype(int)
    row = np.clip((1 - uv[..., 1]) * size, 0, size - 1).astype(int)
    return texture[row, column]


def test_both_sides_of_every_seam_have_one_colour(texture):
    body = load_body()
    owner = np.zeros(len(body.vt), int)
    owner[body.ft.ravel()] = body.faces.ravel()
    order = np.argsort(owner, kind="stable")
    first, second = order[:-1], order[1:]
    pair = owner[first] == owner[second]
    difference = np.abs(at(texture, body.vt[first[pair]]) - at(texture, body.vt[second[pair]])).mean(1)
    assert pair.sum() == 7576 - 6890
    assert np.median(difference) < 6 and np.quantile(difference, 0.9) < 25


def test_parts_have_their_colours(texture):
    body = load_body()
    owner = np.zeros(len(body.vt), int)
    owner[body.ft.ravel()] = body.faces.ravel()
    place, colour = body.v_template[owner], at(texture, body.vt)
    trousers = colour[(place[:, 1] < -0.1) & (place[:, 1] > -0.7)].mean(0)
    hand = colour[np.abs(place[:, 0]) > 0.66].mean(0)
    crown = colour[place[:, 1] > 0.82].mean(0)
    assert trousers[2] > trousers[0] + 20  # blue
    assert hand[0] > hand[1] > hand[2] and hand[0] > 150  # skin
    assert crown.max() < 90  # dark hair


def test_islands_are_padded(texture):
    """Nothing outside the islands is the background's black."""
    border = np.concatenate([texture[0], texture[-1], texture[:, 0], texture[:, -1]])
    assert (border.sum(1) > 30).all()


def test_it_is_what_the_script_draws(texture):
    drawing = pytest.importorskip("pose2mesh_blender.training.build_texture", exc_type=ImportError)
    pytest.importorskip("scipy")
    fresh = drawing.draw(load_body(), size=512).astype(np.float64)
    small = texture.reshape(512, 2, 512, 2, 3).mean((1, 3))
    assert np.abs(fresh - small).mean() < 4
