"""How often an edge measures its plans again by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.remeasure_pace import LEAST_BETWEEN_S, MOST_BETWEEN_S, RemeasurePace


def test_the_first_alarm_is_followed_at_once_and_no_alarm_never() -> None:
    pace = RemeasurePace()
    assert not pace.due(False, 0.0)
    assert pace.due(True, 0.0)


def test_an_alarm_that_comes_back_waits_twice_as_long_each_time() -> None:
    pace, now_s, waits = RemeasurePace(), 0.0, []
    for _ in range(3):
        pace.measured(now_s)
        began_s = now_s
        while not pace.due(True, now_s):
            now_s += 1.0
        waits.append(now_s - began_s)
    assert waits == [LEAST_BETWEEN_S, 2 * LEAST_BETWEEN_S, 4 * LEAST_BETWEEN_S]


def test_no_wait_is_longer_than_a_day() -> None:
    pace, now_s = RemeasurePace(), 0.0
    for _ in range(10):
        pace.measured(now_s)
        now_s += MOST_BETWEEN_S
        assert pace.due(True, now_s)


def test_a_whole_wait_without_an_alarm_makes_the_next_one_short() -> None:
    pace = RemeasurePace()
    pace.measured(0.0)
    assert not pace.due(False, LEAST_BETWEEN_S)
    pace.measured(2 * LEAST_BETWEEN_S)
    assert pace.due(True, 3 * LEAST_BETWEEN_S)


@given(st.lists(st.tuples(st.floats(0.0, 20_000.0), st.booleans()), max_size=80))
def test_it_is_never_done_more_often_than_the_least_nor_put_off_for_more_than_the_most(
    steps: list[tuple[float, bool]],
) -> None:
    pace, now_s, last_s = RemeasurePace(), 0.0, float("-inf")
    for step_s, drifted in steps:
        now_s += step_s
        if pace.due(drifted, now_s):
            assert now_s - last_s >= LEAST_BETWEEN_S
            last_s = now_s
            pace.measured(now_s)
        else:
            assert not (drifted and now_s - last_s > MOST_BETWEEN_S)
