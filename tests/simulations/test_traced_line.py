"""A line whose rate follows a recording, against crossing bit by bit."""

from __future__ import annotations

import math
from itertools import accumulate, count, pairwise, takewhile
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.protocol.path_model import LEAST_WINDOW_BYTES
from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.faults import Absences, Fault, PlannedFaults
from simulations.line_capacity import LineCapacity
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
    laps = count() if math.isfinite(trace.period_s) else (0,)
    changes_s = (lap * trace.period_s + time_s if lap else time_s for lap in laps for time_s in trace.times_s)
    between_s = takewhile(lambda time_s: time_s < end_s, changes_s)
    moments = [start_s, *(time_s for time_s in between_s if time_s > start_s), end_s]
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
    line = TracedLine(BandwidthTrace((0.0,), (8.0 * LEAST_WINDOW_BYTES,)))  # a window a second
    began_s, end_s = line.carry(10 * LEAST_WINDOW_BYTES, 0.0)
    assert end_s == 10.0
    assert line.stop(began_s, end_s, 3.0) == 4.0
    assert line.free_s == 4.0


def test_a_message_that_is_taken_back_before_its_turn_never_crosses() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (8000.0,)))
    line.carry(10_000, 0.0)
    began_s, end_s = line.carry(5000, 0.0)
    assert line.stop(began_s, end_s, 2.0) == began_s
    assert line.carry(1000, 3.0) == (10.0, 11.0)


def test_a_message_that_others_wait_behind_keeps_its_time_until_they_are_taken_back_too() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (8.0 * LEAST_WINDOW_BYTES,)))
    first, second = line.carry(10 * LEAST_WINDOW_BYTES, 0.0), line.carry(LEAST_WINDOW_BYTES, 0.0)
    assert line.stop(*first, 1.0) == 2.0
    assert (line.free_s, second) == (11.0, (10.0, 11.0))
    line.stop(*second, 5.0)
    assert line.free_s == 2.0


MESSAGES = st.lists(
    st.tuples(st.floats(0, 5), st.integers(1, 500_000), st.none() | st.floats(0, 30)), min_size=1, max_size=12
)


@given(STEPS, MESSAGES)
def test_whatever_is_taken_back_no_two_messages_use_the_line_at_once(
    steps: list[tuple[float, float]], messages: list[tuple[float, int, float | None]]
) -> None:
    """Each as long as its bytes take at the line's rate, so this is also never exceeded. And the line is free from when
    the last one that somebody waits for, or that is under way, has crossed. A message: the gap before it, its bytes,
    how long its sender is patient."""
    line, sent_s = TracedLine(trace_of(steps)), list(accumulate(gap_s for gap_s, _, _ in messages))
    events = [(time_s, number, False) for number, time_s in enumerate(sent_s)]
    patient = ((number, one[2]) for number, one in enumerate(messages))
    events += [(sent_s[number] + patience_s, number, True) for number, patience_s in patient if patience_s is not None]
    crosses = dict[int, tuple[float, float]]()
    for now_s, number, gives_up in sorted(events):
        if gives_up:
            began_s, end_s = crosses[number]
            crosses[number] = began_s, line.stop(began_s, end_s, now_s)
        else:
            crosses[number] = line.carry(messages[number][1], now_s)
        used = sorted((began_s, end_s) for began_s, end_s in crosses.values() if began_s < end_s)
        assert all(end_s <= began_s for (_, end_s), (began_s, _) in pairwise(used))
        assert max(line.free_s, now_s) == max([now_s, *(end_s for _, end_s in used)])


@given(STEPS, st.floats(0, 100), st.floats(0, 60))
def test_a_prepared_trace_carries_what_its_steps_do(
    steps: list[tuple[float, float]], start_s: float, length_s: float
) -> None:
    trace = trace_of(steps)
    carried = LineCapacity(trace).bits(start_s, start_s + length_s)
    assert carried == pytest.approx(bits_between(trace, start_s, start_s + length_s), rel=1e-6, abs=10.0)


def test_a_line_may_begin_anywhere_in_its_trace() -> None:
    capacity = LineCapacity(BandwidthTrace((0.0, 10.0), (8000.0, 16000.0)))
    assert [TracedLine(capacity, start_s).end_s(1000, 0.0) for start_s in (0.0, 9.5, 10.0, 29.5)] == [
        1.0,
        0.75,
        0.5,
        0.75,
    ]


def test_what_a_line_carries_now_follows_its_trace_and_is_nothing_during_an_outage() -> None:
    trace = BandwidthTrace((0.0, 10.0), (8000.0, 16000.0))
    line = TracedLine(trace, 5.0, Absences(iter([Fault(1.0, 3.0)])))
    assert [line.bps(now_s) for now_s in (0.0, 1.0, 2.9, 3.0, 5.0, 15.0)] == [8000, 0, 0, 8000, 16000, 8000]


OUTAGES = st.lists(st.tuples(st.floats(0, 60), st.floats(0.1, 10)), max_size=4)


@given(STEPS, OUTAGES, st.floats(0, 30), st.integers(0, 200_000))
def test_what_crosses_an_outage_takes_what_it_would_take_without_and_the_outage(
    steps: list[tuple[float, float]], outages: list[tuple[float, float]], start_s: float, size_bytes: int
) -> None:
    trace = trace_of(steps)
    faults = PlannedFaults(tuple(Fault(at_s, at_s + lasts_s) for at_s, lasts_s in outages))
    line = TracedLine(trace, outages=Absences(faults.times(Random(0))))
    end_s = line.end_s(size_bytes, start_s)
    if end_s - start_s > 50 * sum(length_s for length_s, _ in steps):
        return
    crossed = bits_between(trace, start_s, end_s) if end_s > start_s else 0.0
    for one in faults.times(Random(0)):
        began_s, ended_s = max(start_s, one.at_s), min(end_s, one.until_s)
        if began_s < ended_s:
            crossed -= bits_between(trace, began_s, ended_s)
    assert crossed == pytest.approx(size_bytes * 8, rel=1e-6, abs=20.0)


def test_a_small_message_passes_when_the_outage_is_over() -> None:
    line = TracedLine(BandwidthTrace((0.0,), (1e6,)), outages=Absences(iter([Fault(1.0, 3.0)])))
    assert [line.passes_s(now_s) for now_s in (0.5, 1.0, 2.9, 3.0)] == [0.5, 3.0, 3.0, 3.0]


def tenths(least: int, most: int, more_s: float = 0.0) -> st.SearchStrategy[float]:
    """With another `more_s` well apart from all of these."""
    return st.integers(least, most).map(lambda number: number / 10 + more_s)


DEAD_OR_NOT = st.lists(st.tuples(tenths(1, 200), st.sampled_from([DEAD_BPS, 1e4, 1e7])), min_size=1, max_size=6)
OUT_OR_NOT = st.lists(st.tuples(tenths(0, 600, 0.03), tenths(1, 100)), max_size=4)


@given(DEAD_OR_NOT, OUT_OR_NOT, tenths(0, 300), tenths(0, 600, 0.07))
def test_a_small_message_passes_at_the_first_moment_at_which_the_link_is_neither_out_nor_dead(
    steps: list[tuple[float, float]], outages: list[tuple[float, float]], start_s: float, now_s: float
) -> None:
    trace = trace_of(steps)
    faults = PlannedFaults(tuple(Fault(at_s, at_s + lasts_s) for at_s, lasts_s in outages))
    out, slow_throughout = list(faults.times(Random(0))), all(bps <= DEAD_BPS for _, bps in steps)

    def is_clear(moment_s: float) -> bool:
        dead = trace.at(moment_s + start_s) <= DEAD_BPS and not slow_throughout
        return not dead and not any(one.at_s <= moment_s < one.until_s for one in out)

    passes_s = TracedLine(trace, start_s, Absences(iter(out))).passes_s(now_s)
    assert passes_s >= now_s
    assert is_clear(passes_s + 1e-6)
    waited = [now_s + number / 100 for number in range(math.ceil(100 * (passes_s - now_s) - 0.5))]
    assert not any(is_clear(moment_s) for moment_s in waited)


def test_in_a_dead_zone_a_line_still_has_the_rate_that_stands_for_nothing() -> None:
    line = TracedLine(BandwidthTrace((0.0, 10.0, 20.0), (1e6, DEAD_BPS, 1e6)))
    assert line.bps(15.0) == DEAD_BPS
    assert line.end_s(1250, 19.0) == pytest.approx(20.009)


def test_a_scaled_recording_is_dead_where_it_was() -> None:
    scaled = BandwidthTrace((0.0, 10.0), (1e6, DEAD_BPS)).scaled(4.0)
    assert scaled.bandwidths_bps == (4e6, DEAD_BPS)
