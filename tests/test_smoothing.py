"""The smoother: exact, without lag, deaf to single-frame jumps, true to sharp motion."""
import numpy as np
import pytest

from pose2mesh_blender.core.smoothing import pieces, smooth_track, strength, whittaker


@pytest.mark.parametrize("count", [3, 4, 5, 60])
def test_equals_the_dense_solution(count: int) -> None:
    rng = np.random.default_rng(count)
    y, w = rng.normal(size=(count, 4, 3)), rng.random((count, 4)) + .1
    d = np.diff(np.eye(count), 2, axis=0)
    dense = np.stack([np.linalg.solve(np.diag(w[:, c]) + 7 * d.T @ d, w[:, c, None] * y[:, c]) for c in range(4)], 1)
    np.testing.assert_allclose(whittaker(y, w, 7.0), dense, atol=1e-9)


def test_straight_motion_is_untouched_and_holes_are_bridged() -> None:
    y = np.linspace(0, 5, 50)[:, None, None] * np.ones((1, 2, 3))
    w = np.ones((50, 2))
    broken = y.copy()
    broken[20:24], w[20:24] = 99, 0
    np.testing.assert_allclose(whittaker(broken, w, 100.0), y, atol=1e-6)


def test_no_lag_and_less_noise() -> None:
    t = np.arange(240) / 60
    clean = np.sin(2 * np.pi * 1.0 * t)[:, None, None] * np.ones((1, 1, 3))
    noisy = clean + np.random.default_rng(0).normal(0, .05, clean.shape)
    out = smooth_track(noisy, np.ones((240, 1)), strength(.5, 60), scale=.3)
    assert np.abs(out - clean).mean() < .45 * np.abs(noisy - clean).mean()
    lags = [np.square(np.roll(out[:, 0, 0], -k) - clean[:, 0, 0])[10:-10].mean() for k in range(-3, 4)]
    assert np.argmin(lags) == 3, "best match is without delay"


def test_one_frame_jump_is_bridged_but_a_clap_stays() -> None:
    y = np.zeros((60, 1, 3))
    y[30] = .5
    assert np.abs(smooth_track(y, np.ones((60, 1)), strength(.5, 30), scale=.06)[30]).max() < .08
    clap = np.zeros((60, 1, 3))
    clap[25:36] = .5 * np.hanning(11)[:, None, None]
    assert smooth_track(clap, np.ones((60, 1)), strength(.3, 30), scale=.06).max() > .4


def test_zero_is_raw() -> None:
    y = np.random.default_rng(1).normal(size=(20, 2, 3))
    assert (smooth_track(y, np.ones((20, 2)), strength(0, 30), scale=1) == y).all()


def test_pieces_bridge_short_holes_only() -> None:
    present = np.ones(100, bool)
    present[10:13] = present[50:80] = False
    assert pieces(present, np.arange(100) / 30) == [slice(0, 50), slice(80, 100)]
    assert pieces(np.zeros(5, bool), np.arange(5) / 30) == []
