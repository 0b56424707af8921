"""The axes of a plot."""

from __future__ import annotations

import pytest

from isthmus.page.axes import LinearAxis, LogAxis


def _axis(least: float, most: float) -> LogAxis:
    return LogAxis(least, most, 100.0, 700.0, "x", str)


def test_decades_are_evenly_apart() -> None:
    axis = _axis(1.0, 1000.0)
    assert [axis.at(value) for value in (1.0, 10.0, 100.0, 1000.0)] == pytest.approx([100, 300, 500, 700])


def test_what_lies_outside_is_drawn_at_the_end() -> None:
    assert _axis(1.0, 10.0).at(0.0) == 100.0
    assert _axis(1.0, 10.0).at(1e9) == 700.0


@pytest.mark.parametrize(("least", "most", "ticks"), [(1, 1000, [1, 10, 100, 1000]), (4, 60, [5, 10, 20, 50])])
def test_ticks_are_round_numbers(least: float, most: float, ticks: list[float]) -> None:
    assert _axis(least, most).ticks() == pytest.approx(ticks)


def test_values_between_keep_both_ends() -> None:
    values = _axis(1.0, 1000.0).between(2.0, 7.0, 3)
    assert (values[0], values[-1], len(values)) == (2.0, 7.0, 4)


@pytest.mark.parametrize(
    ("most", "ticks"), [(10.0, [0, 2, 4, 6, 8, 10]), (0.9, [0, 0.2, 0.4, 0.6, 0.8]), (31.0, [0, 10, 20, 30])]
)
def test_ticks_of_a_linear_axis_are_round_and_begin_at_zero(most: float, ticks: list[float]) -> None:
    axis = LinearAxis(most, 100.0, 700.0, "x", str)
    assert axis.ticks() == pytest.approx(ticks)
    assert (axis.at(0.0), axis.at(most), axis.at(2 * most)) == (100.0, 700.0, 700.0)
