"""Takes of any length and rate through a network that sees windows."""
import numpy as np
import pytest

from pose2mesh_blender.core.network.windows import STRIDE, WINDOW, interleave, over_windows, reach


@pytest.mark.parametrize("count", [1, 2, STRIDE, WINDOW, WINDOW + 1, 2 * WINDOW + 7, 500])
@pytest.mark.parametrize("fps", [12.0, 30.0, 60.0, 120.0])
def test_every_frame_is_answered_by_itself(count: int, fps: float) -> None:
    seconds = np.arange(count) / fps
    sizes: list[int] = []

    def solve(rows: np.ndarray) -> tuple[np.ndarray, ...]:
        sizes.append(len(rows))
        return np.stack([rows, rows ** 2], 1), rows[:, None, None] + 1

    a, b = over_windows(solve, seconds)
    np.testing.assert_allclose(a, np.stack([np.arange(count), np.arange(count) ** 2.0], 1), rtol=1e-6)
    np.testing.assert_allclose(b[:, 0, 0], np.arange(count) + 1)
    assert max(sizes) <= WINDOW


def test_a_change_reaches_no_farther_than_promised() -> None:
    seconds = np.arange(400) / 60
    change = np.zeros(400)
    change[200] = 1

    def blur(values: np.ndarray) -> np.ndarray:
        return over_windows(lambda rows: (np.full((len(rows), 1), values[rows].sum()),), seconds)[0][:, 0]

    moved = np.flatnonzero(np.abs(blur(change) - blur(np.zeros(400))) > 0)
    assert moved.min() >= 200 - reach(seconds) and moved.max() <= 200 + reach(seconds)


def test_fast_footage_is_woven_from_slower_takes() -> None:
    assert [interleave(np.arange(100) / fps) for fps in (12, 25, 30, 50, 60, 120, 240)] == [1, 1, 1, 2, 2, 4, 7]
    assert interleave(np.zeros(1)) == 1
