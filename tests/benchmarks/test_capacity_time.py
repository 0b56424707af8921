"""The capacity benchmark ends, and says what it does not know."""

from __future__ import annotations

import pytest

from benchmarks.capacity_time import cpu_s_of, is_right, within


def busy() -> None:
    while True:
        try:
            sum(range(1000))
        except Exception:  # as what is under way may
            continue


def test_what_takes_too_long_is_ended() -> None:
    assert within(0.05, busy) is None


def test_what_is_answered_in_time_is_told_and_not_interrupted_later() -> None:
    assert within(0.05, lambda: 3) == 3
    for _ in range(100):
        sum(range(100_000))


def test_its_own_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        within(1.0, lambda: 1 // 0)


@pytest.mark.parametrize(
    ("shares", "right"),
    [
        ({"less": 0.9, "as many": 0.99}, True),
        ({"as many": 0.995}, True),
        ({"less": 0.99, "as many": 0.999}, False),
        ({"less": 0.9, "as many": 0.98}, False),
        ({"less": None, "as many": 0.999}, False),
        ({"less": 0.9, "as many": None}, False),
    ],
)
def test_an_answer_is_right_where_whole_runs_that_ended_bear_it_out(
    shares: dict[str, float | None], right: bool
) -> None:
    assert is_right(shares, 0.99) == right


def test_steps_take_until_the_next_one_begins() -> None:
    steps = [
        (1.0, "a pilot"),
        (3.0, "2 replicas, in whole runs"),
        (10.0, "3 replicas"),
        (12.0, "3 replicas, in whole runs"),
    ]
    assert cpu_s_of(steps, 20.0, "whole runs") == 7.0 + 8.0
    assert cpu_s_of([], 20.0, "whole runs") == 0.0
