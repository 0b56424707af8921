"""t(B) of a segment as that of all that a request takes, and as far as batches are made of it."""

from __future__ import annotations

import pytest

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
