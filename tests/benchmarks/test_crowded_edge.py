"""The benchmark of a crowded edge sees an edge that crowds itself."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.crowded_edge import Case, served
from benchmarks.herd import poisson_arrivals
from benchmarks.regret import mean_s

CASE = Case(edge_s=0.1, cloud_s=0.06, uplink_bps=0.8e6, load=0.8)


def test_requests_come_at_their_share_of_what_can_cross() -> None:
    assert CASE.rate_per_s == pytest.approx(0.8 * 2 / 0.06)
    assert Case(0.1, 0.02, 0.8e6, 0.5).rate_per_s == pytest.approx(0.5 * 50)
    assert len(poisson_arrivals(CASE.rate_per_s, 61.0, Random(0))) == pytest.approx(60 * CASE.rate_per_s, rel=0.1)


def test_crossing_carries_what_staying_cannot_and_choosing_is_near_it() -> None:
    coming = poisson_arrivals(CASE.rate_per_s, 60.0, Random(0))
    stays, crosses, chosen = (
        mean_s(served(CASE, policy, coming)) for policy in ("edge-only", "fixed:split", "latency")
    )
    assert stays > 5.0
    assert crosses < chosen * 1.5 < 0.5
