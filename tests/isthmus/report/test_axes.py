"""The axes of a plot."""

from __future__ import annotations

import pytest

from isthmus.report.axes import LogAxis


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
