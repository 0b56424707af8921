"""The link as now believed."""

from __future__ import annotations

from nodes.chooser import Transfer
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
