"""A budget of bytes lasts for the whole recording."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidQuantity
from simulations.link_recorder.pace import (
    LEAST_BURST_BYTES,
    MOST_BURST_BYTES,
    RecordingPace,
    burst_bytes,
    next_burst_bytes,
)

PLENTY = 10**9


def played(pace: RecordingPace, look_bytes: int) -> tuple[list[float], int]:
    """When looks of that size begin, and what they take."""
    starts_s, spent_bytes = list[float](), 0
    due_s: float | None = 0.0
    while due_s is not None:
        starts_s.append(due_s)
        spent_bytes += look_bytes
        due_s = pace.next_look_s(due_s, look_bytes, spent_bytes)
    return starts_s, spent_bytes


@given(st.floats(1.0, 200.0), st.floats(0.5, 5.0), st.integers(10**5, 10**8), st.integers(10**4, 10**5))
def test_neither_the_budget_nor_the_time_nor_the_rhythm_is_broken(
    duration_s: float, every_s: float, budget_bytes: int, look_bytes: int
) -> None:
    starts_s, spent_bytes = played(RecordingPace(duration_s, every_s, budget_bytes), look_bytes)
    assert spent_bytes <= budget_bytes
    assert starts_s[-1] < duration_s
    assert all(later - earlier >= every_s * (1 - 1e-9) for earlier, later in pairwise(starts_s))


def test_a_budget_that_is_enough_looks_as_often_as_asked() -> None:
    starts_s, _ = played(RecordingPace(10.0, 1.0, 10**9), 10**5)
    assert starts_s == pytest.approx(range(10))


def test_a_tight_budget_spreads_over_the_time() -> None:
    starts_s, spent_bytes = played(RecordingPace(100.0, 1.0, 10**6), 10**5)
    assert spent_bytes >= 0.8 * 10**6
    assert starts_s[-1] >= 80.0


@given(st.floats(0.0, 1e11), st.floats(0.0, 3.0))
def test_a_burst_has_bounds(bps: float, rtt_s: float) -> None:
    assert LEAST_BURST_BYTES <= burst_bytes(bps, rtt_s) <= MOST_BURST_BYTES


@given(st.floats(0.0, 1e11), st.floats(0.0, 3.0))
def test_bursts_that_follow_each_other_end(bps: float, rtt_s: float) -> None:
    size: int | None = LEAST_BURST_BYTES
    for _ in range(6):
        size = size and next_burst_bytes(size, bps, rtt_s, PLENTY)
    assert size is None


def test_a_rate_that_is_believed_needs_one_burst() -> None:
    assert next_burst_bytes(burst_bytes(2e7, 0.05), 2.1e7, 0.05, PLENTY) is None
    assert next_burst_bytes(burst_bytes(5e6, 0.05), 2e7, 0.05, PLENTY) == burst_bytes(2e7, 0.05)


@given(st.floats(0.0, 1e11), st.floats(0.0, 3.0), st.integers(LEAST_BURST_BYTES, MOST_BURST_BYTES))
def test_bursts_that_follow_each_other_keep_to_what_is_left(bps: float, rtt_s: float, left_bytes: int) -> None:
    size: int | None = LEAST_BURST_BYTES
    while size is not None:
        left_bytes -= size
        assert left_bytes >= 0
        longer = next_burst_bytes(size, bps, rtt_s, left_bytes)
        assert longer is None or longer > size  # no shorter one would say more
        size = longer


@pytest.mark.parametrize("values", [(0.0, 1.0, 10**6), (1.0, math.nan, 10**6), (1.0, 1.0, 1000)])
def test_what_records_nothing_is_refused(values: tuple[float, float, int]) -> None:
    with pytest.raises(InvalidQuantity, match="--"):
        RecordingPace(*values)
