"""A clock that stands still while the process does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.awake_clock import BEAT_S, AwakeClock


class Time:
    """Seconds, as told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.floats(0, BEAT_S), max_size=20))
def test_while_it_beats_in_time_it_is_the_clock(steps_s: list[float]) -> None:
    time = Time()
    clock = AwakeClock(time)
    for step_s in steps_s:
        time.now_s += step_s
        assert clock() == pytest.approx(time.now_s)
        clock.beat()


@given(st.floats(1, 1e6), st.booleans())
def test_of_a_pause_two_beats_count_whoever_asks_first(pause_s: float, asked: bool) -> None:
    time = Time()
    clock = AwakeClock(time)
    time.now_s += pause_s
    if asked:
        assert clock() == pytest.approx(100 + 2 * BEAT_S)
    clock.beat()
    assert clock() == pytest.approx(100 + 2 * BEAT_S)
    time.now_s += BEAT_S
    assert clock() == pytest.approx(100 + 3 * BEAT_S)


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=30))
def test_it_never_goes_back(steps: list[tuple[float, bool]]) -> None:
    time = Time()
    clock = AwakeClock(time)
    before_s = clock()
    for step_s, beat in steps:
        time.now_s += step_s
        if beat:
            clock.beat()
        assert clock() >= before_s
        before_s = clock()
