import numpy as np
import pytest

from keras_lapgan.utils.line_chart import _ticks
from keras_lapgan.utils.line_chart import line_chart


def test_draws_a_curve_where_it_belongs():
    rising = line_chart({"title": {"a": ([0, 1, 2], [0, 1, 2])}})
    assert rising.shape == (260, 520, 3) and rising.dtype == np.uint8
    blue = (rising == (31, 119, 180)).all(axis=-1)
    # Below the title and the names, which have the curve's colour too.
    rows, columns = np.nonzero(blue[40:])
    left, right = columns.argmin(), columns.argmax()
    assert rows[left] > rows[right] + 150


def test_panels_lie_in_rows():
    curves = {"a": ([0, 1], [0, 1])}
    chart = line_chart({"x": curves, "y": curves, "z": curves}, columns=2)
    assert chart.shape == (520, 1040, 3)


@pytest.mark.parametrize(
    "y", [[1, 1, 1], [float("nan"), 1, 2], [float("nan")] * 3]
)
def test_flat_and_missing_values(y):
    assert line_chart({"title": {"a": ([0, 1, 2], y)}}).min() < 255


def test_one_point():
    chart = line_chart({"title": {"a": ([1], [0.5])}})
    assert (chart[40:] == (31, 119, 180)).all(axis=-1).any()


@pytest.mark.parametrize(
    "low, high, expected",
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (1, 25, [5, 10, 15, 20, 25])],
)
def test_ticks_are_round(low, high, expected):
    assert _ticks(low, high) == expected
