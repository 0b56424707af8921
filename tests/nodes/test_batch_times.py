"""t(B) of a segment as that of all that a request takes, and as far as batches are made of it."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.batch_times import BatchTimes

CURVE = BatchTimes.of({1: 0.010, 2: 0.012, 8: 0.020})


def test_what_is_beside_the_segment_is_done_one_by_one() -> None:
    whole = CURVE.with_rest(0.015)
    assert [whole.at(size) for size in (1, 2, 8)] == pytest.approx([0.015, 0.022, 0.060])


def test_a_segment_that_is_said_to_take_more_than_all_shrinks_with_it() -> None:
    whole = CURVE.with_rest(0.005)
    assert [whole.at(size) for size in (1, 2, 8)] == pytest.approx([0.005, 0.006, 0.010])


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (8, [1, 2, 8]), (16, [1, 2, 8])])
def test_batches_are_made_up_to_the_most_and_of_what_was_measured(most: int, sizes: list[int]) -> None:
    times = CURVE.up_to(most)
    assert [size for size, _ in times.seconds] == sizes
    assert all(times.at(size) == pytest.approx(CURVE.at(size)) for size in sizes)


def test_where_two_at_once_save_nothing_none_are_made() -> None:
    assert BatchTimes.of({1: 0.010, 2: 0.0195, 8: 0.020}).up_to(8) == BatchTimes.of({1: 0.010})


def test_a_new_pace_keeps_the_shape() -> None:
    assert CURVE.paced(2, 0.024).at(8) == pytest.approx(0.040)
    assert CURVE.paced(1, 0.0) is CURVE


@given(
    curve=st.lists(st.floats(0.001, 0.01), min_size=1, max_size=8), items=st.integers(1, 30), most=st.integers(1, 12)
)
def test_the_best_size_is_the_first_with_the_least_and_the_same_when_asked_again(
    curve: list[float], items: int, most: int
) -> None:
    times = BatchTimes.of(dict(enumerate(accumulate(curve), start=1)))
    wait_s = {size: times.at(size) * (items / size + 1) for size in range(1, min(items, most) + 1)}
    least = min(wait_s.values())
    best = next(size for size, waits_s in wait_s.items() if waits_s == least)
    assert [times.best_size(items, most) for _ in range(2)] == [best, best]
    assert times.scaled(3.0).best_size(1, most) == 1  # what is made of it remembers its own
