"""The link as now believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.chooser import Exchange, Transfer
from partitioner.link import Link
from scheduler.estimators.link import ASSUMED_RTT_S, LinkEstimator


def test_unknown_before_a_transfer_even_with_echoes() -> None:
    estimator = LinkEstimator()
    estimator.observe_rtt(0.03, 0.0)
    assert estimator.estimate(0.0).link is None
    assert estimator.estimate(0.0).rtt_s == 0.03


def test_both_directions_are_learned_apart() -> None:
    estimator = LinkEstimator()
    estimator.observe_rtt(0.03, 0.0)
    estimator.observe_transfer(Transfer("up", 1_000_000, 0.8), 1.0)
    estimator.observe_transfer(Transfer("down", 1_000_000, 0.08), 1.0)
    assert estimator.estimate(1.0).link == Link(10e6, 100e6, 0.03)


def test_a_direction_never_seen_is_taken_like_the_other() -> None:
    estimator = LinkEstimator()
    estimator.observe_transfer(Transfer("up", 1_000_000, 0.8), 1.0)
    assert estimator.estimate(1.0).link == Link(10e6, 10e6, ASSUMED_RTT_S)


def exchange_on(link: Link, up: int = 13_000, down: int = 4_000) -> Exchange:
    return Exchange(up, down, link.uplink_s(up) + link.downlink_s(down) + link.rtt_s)


def test_small_requests_teach_the_bandwidth_by_their_whole_way() -> None:
    estimator, link = LinkEstimator(), Link(5e6, 5e6, 0.04)
    estimator.observe_rtt(link.rtt_s, 0.0)
    for number in range(3):
        estimator.observe_exchange(exchange_on(link), 1.0 + number)
    learned = estimator.estimate(4.0).link
    assert learned is not None
    assert learned.uplink_bps == pytest.approx(5e6)


def test_small_requests_tell_that_a_link_became_fast() -> None:
    estimator = LinkEstimator()
    estimator.observe_rtt(0.02, 0.0)
    estimator.observe_transfer(Transfer("up", 60_000, 0.48), 0.0)
    for number in range(3):
        estimator.observe_exchange(exchange_on(Link(1e9, 1e9, 0.02)), 1.0 + number)
    link = estimator.estimate(4.0).link
    assert link is not None
    assert link.uplink_bps > 10e6


def test_a_small_request_on_a_fast_link_says_nothing_new() -> None:
    estimator = LinkEstimator()
    estimator.observe_rtt(0.02, 0.0)
    estimator.observe_transfer(Transfer("up", 1_000_000, 0.04), 0.0)
    estimator.observe_exchange(exchange_on(Link(200e6, 200e6, 0.02)), 1.0)
    assert estimator.estimate(1.0).link == Link(200e6, 200e6, 0.02)


def test_without_an_echo_a_small_request_teaches_nothing() -> None:
    estimator = LinkEstimator()
    estimator.observe_exchange(exchange_on(Link(1e6, 1e6, 0.1)), 1.0)
    assert estimator.estimate(1.0).link is None


@given(st.integers(-5, 10**7), st.integers(-5, 10**7), st.floats(allow_nan=True, allow_infinity=True))
def test_no_exchange_raises_or_leaves_a_link_that_is_none(up: int, down: int, wire_s: float) -> None:
    estimator = LinkEstimator()
    estimator.observe_rtt(0.02, 0.0)
    estimator.observe_exchange(Exchange(up, down, wire_s), 1.0)
    estimator.observe_exchange(Exchange(up, down, wire_s), 2.0)
    link = estimator.estimate(3.0).link
    assert link is None or link.uplink_bps > 0
