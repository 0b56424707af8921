"""A line whose rate follows a recording, against crossing bit by bit."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.bandwidth_trace import BandwidthTrace
from simulations.traced_line import TracedLine

STEPS = st.lists(st.tuples(st.floats(0.1, 20.0), st.floats(1e3, 1e8)), min_size=1, max_size=6)


def trace_of(steps: list[tuple[float, float]]) -> BandwidthTrace:
    times_s, now_s = [], 0.0
    for length_s, _ in steps:
        times_s.append(now_s)
        now_s += length_s
    return BandwidthTrace(tuple(times_s), tuple(bps for _, bps in steps))


def bits_between(trace: BandwidthTrace, start_s: float, end_s: float) -> float:
    """What crosses from one moment to another, step by step."""
    moments = [start_s]
    for time_s, _ in trace.changes():
        if time_s >= end_s:
            break
        if time_s > start_s:
            moments.append(time_s)
    moments.append(end_s)
    return sum((b - a) * trace.at((a + b) / 2) for a, b in pairwise(moments))


@given(STEPS, st.floats(0, 100), st.integers(0, 1_000_000))
def test_so_many_bits_cross_until_the_end_as_were_given(
    steps: list[tuple[float, float]], start_s: float, size_bytes: int
) -> None:
    trace = trace_of(steps)
    end_s = TracedLine(trace).end_s(size_bytes, start_s)
    if end_s - start_s > 50 * sum(length_s for length_s, _ in steps):
        return  # a thousand laps say no more than fifty
    assert end_s >= start_s
    assert bits_between(trace, start_s, end_s) == pytest.approx(size_bytes * 8, rel=1e-6, abs=10.0)


@given(STEPS, st.floats(0, 50), st.integers(0, 100_000), st.integers(0, 100_000))
def test_two_halves_cross_when_the_whole_does(
    steps: list[tuple[float, float]], start_s: float, first: int, second: int
) -> None:
    line = TracedLine(trace_of(steps))
    middle_s = line.end_s(first, start_s)
    assert line.end_s(second, middle_s) == pytest.approx(line.end_s(first + second, start_s), rel=1e-6, abs=1e-6)


def test_messages_wait_for_those_before_them() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (8000.0,)))
    assert line.carry(1000, 1.0) == (1.0, 2.0)
    assert line.carry(500, 1.2) == (2.0, 2.5)
    assert line.carry(500, 4.0) == (4.0, 4.5)


def test_a_message_that_is_taken_back_frees_the_line_but_for_what_is_under_way() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (8.0 * 16 * 1024,)))  # 16 KiB a second
    _, end_s = line.carry(160 * 1024, 0.0)
    assert end_s == 10.0
    line.stop(end_s, 3.0)
    assert line.free_s == 4.0


def test_a_message_that_others_wait_behind_keeps_its_time() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (8000.0,)))
    _, first_s = line.carry(10_000, 0.0)
    _, second_s = line.carry(1000, 0.0)
    line.stop(first_s, 1.0)
    assert (line.free_s, second_s) == (11.0, 11.0)
    line.stop(math.nextafter(second_s, 0.0), 1.0)
    assert line.free_s == 11.0
