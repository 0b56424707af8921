"""A circuit breaker: what it lets through after what."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import LocalProtocolError
from nodes.backoff import Backoff
from nodes.circuit_breaker import BreakerState, CircuitBreaker


def breaker(k: int = 3) -> CircuitBreaker:
    return CircuitBreaker(k, Backoff(1.0, 8.0, Random(0)))


def opened(k: int = 3) -> CircuitBreaker:
    made = breaker(k)
    for _ in range(k):
        made.failed(0.0)
    return made


def test_failures_in_a_row_open_it() -> None:
    made = breaker()
    for _ in range(2):
        made.failed(0.0)
    assert made.state(0.0) is BreakerState.CLOSED
    made.failed(0.0)
    assert made.state(0.0) is BreakerState.OPEN
    assert not made.allows(0.0)


def test_a_success_in_between_starts_the_count_again() -> None:
    made = breaker()
    for _ in range(5):
        made.failed(0.0)
        made.failed(0.0)
        made.succeeded(0.0)
    assert made.state(0.0) is BreakerState.CLOSED


def test_after_its_wait_it_lets_one_probe_through() -> None:
    made = opened()
    assert made.state(1.0) is BreakerState.HALF_OPEN
    assert made.allows(1.0)
    made.started(1, 1.0)
    assert not made.allows(1.0)
    with pytest.raises(LocalProtocolError):
        made.started(1, 1.0)


def test_a_probe_that_succeeds_closes_it() -> None:
    made = opened()
    made.started(1, 1.0)
    made.succeeded(1.5)
    assert made.state(1.5) is BreakerState.CLOSED


def test_every_probe_that_fails_opens_it_for_longer() -> None:
    made, now, waits = opened(), 1.0, []
    for _ in range(6):
        made.started(1, now)
        made.failed(now)
        began = now
        while made.state(now) is BreakerState.OPEN:
            now += 0.01
        waits.append(now - began)
    assert waits[-1] > waits[0]
    assert max(waits) <= 8.1


def test_a_probe_taken_back_gives_its_slot_back() -> None:
    made = opened()
    made.started(1, 1.0)
    made.released(1)
    assert made.allows(1.0)


def test_a_request_of_before_that_is_taken_back_leaves_the_probe_its_slot() -> None:
    made = breaker()
    made.started(1, 0.0)
    for _ in range(3):
        made.failed(0.0)
    made.started(2, 1.0)
    made.released(1)
    assert not made.allows(1.0)
    made.released(2)
    assert made.allows(1.0)


@given(st.lists(st.sampled_from(["start", "succeed", "fail", "release", "wait"]), max_size=60), st.integers(1, 4))
def test_whatever_happens_only_a_success_closes_it_and_time_alone_lets_probes_through(moves: list[str], k: int) -> None:
    made, now = breaker(k), 0.0
    for move in moves:
        before = made.state(now)
        if move == "wait":
            now += 0.4
            assert not (before is not BreakerState.CLOSED and made.state(now) is BreakerState.CLOSED)
        elif move == "start" and made.allows(now):
            made.started(1, now)
            assert made.state(now) is before
        elif move == "succeed":
            made.succeeded(now)
            assert made.state(now) is (BreakerState.OPEN if before is BreakerState.OPEN else BreakerState.CLOSED)
        elif move == "fail":
            made.failed(now)
            assert made.state(now) is BreakerState.OPEN or before is BreakerState.CLOSED
        elif move == "release":
            made.released(1)
            assert made.state(now) is before
    for _ in range(30):  # it never shuts a replica out for good
        made.released(1)
        now += 0.4
    assert made.allows(now)
