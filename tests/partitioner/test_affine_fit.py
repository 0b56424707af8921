"""The line through measured times: exact on lines, never negative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioner.affine_fit import affine_time


@given(fixed=st.floats(0, 10), slope=st.floats(0, 10), sizes=st.sets(st.integers(1, 64), min_size=2, max_size=5))
def test_points_on_a_line_give_that_line(fixed: float, slope: float, sizes: set[int]) -> None:
    line = affine_time({float(size): fixed + slope * size for size in sizes})
    for size in sizes:
        assert line.at(size) == pytest.approx(fixed + slope * size, abs=1e-6)


@given(points=st.dictionaries(st.floats(1, 100), st.floats(0, 100), min_size=1, max_size=6))
def test_neither_part_is_negative(points: dict[float, float]) -> None:
    line = affine_time(points)
    assert line.fixed_s >= 0
    assert line.per_item_s >= 0


def test_one_size_counts_as_growing_with_it() -> None:
    assert affine_time({2.0: 0.5}).per_item_s == 0.25


def test_falling_times_are_taken_as_constant() -> None:
    assert affine_time({1.0: 2.0, 2.0: 1.0}).at(7) == 1.5
