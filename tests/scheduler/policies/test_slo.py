"""The cheapest plan that is in time as surely as asked."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.policies.forecast import forecast
from scheduler.policies.slo import SloOptions, SloPolicy
from tests.scheduler.policies.plan_cases import cases, stages_of, usable_of

Case = tuple[ChoiceRequest, Link]


def moments(entry: PlanEntry, request: ChoiceRequest, link: Link) -> tuple[float, float]:
    """Mean and standard deviation of the plan's time, part by part."""
    stages, plan = stages_of(entry, request, link), entry.plan
    parts = [
        (stages.edge, stages.edge * entry.costs.edge_spread),
        (stages.cloud, stages.cloud * entry.costs.cloud_spread),
        (stages.edge_wait, stages.edge_wait / 2),
        (stages.cloud_wait, stages.cloud_wait / 2),
        (stages.up_wait + stages.rtt + stages.besides, 0.0),
        (0.0, stages.up * plan.uplink_spread / math.sqrt(request.batch)),
    ]
    for on_wire, spread in ((stages.up, request.uplink_spread), (stages.down, request.downlink_spread)):
        s = min(spread, 1.0)
        parts.append((on_wire * math.exp(s * s / 2), on_wire * math.sqrt(math.exp(s * s) * (math.exp(s * s) - 1))))
    return math.fsum(mean for mean, _ in parts), math.hypot(*(spread for _, spread in parts))


def chance(mean_s: float, spread_s: float, deadline_s: float) -> float:
    return float(mean_s <= deadline_s) if spread_s == 0 else NormalDist(mean_s, spread_s).cdf(deadline_s)


def rounding_decides(mean_s: float, spread_s: float, deadline_s: float, asked: float) -> bool:
    """Whether the chance is another, or on the other side of what is asked, once the time is a last digit off."""
    off_s = 1e-12 * max(mean_s, deadline_s)
    chances = [chance(mean_s, spread_s, deadline_s + by_s) for by_s in (-off_s, off_s)]
    return chances[1] - chances[0] > 1e-6 or chances[0] - 1e-6 < asked < chances[1] + 1e-6


@settings(deadline=None, max_examples=200)
@given(
    case=cases(), asked=st.floats(0.05, 0.999), deadline_s=st.floats(0.01, 20), waited_s=st.just(0.0) | st.floats(0, 5)
)
def test_takes_the_cheapest_of_those_that_are_sure_enough_and_else_the_likeliest(
    case: Case, asked: float, deadline_s: float, waited_s: float
) -> None:
    request, link = case[0]._replace(now_s=waited_s, came_s=0.0), case[1]
    policy = SloPolicy(SloOptions(probability=asked, deadline=deadline_s))
    chosen = policy.choose(request, link, Random(0)).entry
    deadline_s = min(max(0.0, deadline_s - waited_s), request.remaining_s or math.inf)
    usable = usable_of(request, link)
    times = {id(entry): moments(entry, request, link) for entry in usable}
    if any(rounding_decides(mean, spread, deadline_s, asked) for mean, spread in times.values()):
        return
    chances = {number: chance(mean, spread, deadline_s) for number, (mean, spread) in times.items()}
    sure = [entry for entry in usable if chances[id(entry)] >= asked]
    if sure:
        cheapest_s = min(stages_of(entry, request, link).cloud for entry in sure)
        assert chosen in sure
        assert stages_of(chosen, request, link).cloud <= cheapest_s * 1.0101 + 1e-12
    else:
        assert chances[id(chosen)] == pytest.approx(max(chances.values()), abs=1e-6)


@pytest.mark.parametrize(
    ("spread", "asked", "off"), [(0.1, 0.9, 0.01), (0.3, 0.95, 0.02), (0.5, 0.9, 0.03), (1, 0.95, 0.02)]
)
def test_the_normal_approximation_is_near_what_drawn_times_do(entry, spread: float, asked: float, off: float) -> None:  # type: ignore[no-untyped-def]
    plan = entry("a", edge_s=0.03, cloud_s=0.02, size=100_000, spread=0.1, spread_bytes=10_000)
    request = ChoiceRequest(
        PlanTable("net", "d" * 64, (plan,)), "bytes", 1, edge_queue_s=0.02, uplink_spread=spread, downlink_spread=spread
    )
    link, draws = Link.of("8mbps", "20ms"), np.random.default_rng(0).standard_normal((6, 400_000))
    up_s = 0.1 * np.exp(spread * draws[0]) + 0.01 * draws[1]
    own_s = 0.03 * (1 + 0.1 * draws[2]) + 0.02 * (1 + 0.1 * draws[3]) + 0.02 * (1 + 0.5 * draws[4])
    times = up_s + own_s + 0.004 * np.exp(spread * draws[5]) + 0.02
    deadline_s = float(np.quantile(times, asked))
    assert forecast(request, link).arrival.probability(0, deadline_s) == pytest.approx(asked, abs=off)


def test_a_surer_plan_that_costs_more_is_taken_where_the_cheap_one_is_doubtful(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    plans = (entry(edge_s=0.100, spread=0.2), entry("a", edge_s=0.030, cloud_s=0.02))
    request = request_of(table=PlanTable("net", "d" * 64, plans), remaining_s=0.11)
    kinds = [
        SloPolicy(SloOptions(probability=asked)).choose(request, link, Random(0)).entry.plan.kind
        for asked in (0.6, 0.95)
    ]
    assert kinds == ["edge-only", "split"]


def test_a_reason_says_how_likely_the_best_of_too_few_is(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    plans = (entry(edge_s=0.100, spread=0.2), entry("a", edge_s=0.085, cloud_s=0.02))
    request = request_of(table=PlanTable("net", "d" * 64, plans), remaining_s=0.11)
    reason = SloPolicy(SloOptions(probability=0.999)).choose(request, link, Random(0)).reason
    assert reason.startswith("the likeliest in time, edge-only: 100 ms")
    assert reason.endswith("; in time with 0.69, and no plan reaches 0.999 within 110 ms")


def test_without_any_deadline_the_cheapest_is_taken(request_of, link) -> None:  # type: ignore[no-untyped-def]
    choice = SloPolicy().choose(request_of(), link, Random(0))
    assert choice.reason.startswith("no deadline, edge-only")


def test_the_policys_own_deadline_runs_from_the_arrival(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    plans = (entry("a", edge_s=0.010, cloud_s=0.02), entry(edge_s=0.180))
    request, policy = request_of(table=PlanTable("net", "d" * 64, plans)), SloPolicy(SloOptions(deadline=0.2))
    kinds = [
        policy.choose(request._replace(**moments), link, Random(0)).entry.plan.kind
        for moments in ({"now_s": 5.0, "came_s": 5.0}, {"now_s": 5.0}, {"now_s": 5.1, "came_s": 5.0})
    ]
    assert kinds == ["edge-only", "edge-only", "split"]


def test_a_request_that_waited_longer_than_the_policys_deadline_takes_the_likeliest(request_of, link) -> None:  # type: ignore[no-untyped-def]
    request = request_of(now_s=5.0, came_s=4.0)
    reason = SloPolicy(SloOptions(deadline=0.2)).choose(request, link, Random(0)).reason
    assert reason.endswith("and no plan reaches 0.95 within 0 s")


def test_an_unsure_link_moves_requests_off_it(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    plans = (entry(edge_s=0.100, cloud_s=0.0), entry("input", "raw", size=100_000, cloud_s=0.0))
    facts = {"table": PlanTable("net", "d" * 64, plans), "remaining_s": 0.105}
    kinds = [
        SloPolicy().choose(request_of(**facts, uplink_spread=spread), link, Random(0)).entry.plan.kind
        for spread in (0.05, 0.5)
    ]
    assert kinds == ["cloud-only", "edge-only"]


@pytest.mark.parametrize("options", [{"probability": 1.0}, {"probability": 0.0}, {"deadline": 0.0}])
def test_a_probability_is_within_its_bounds_and_a_deadline_above_zero(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SloOptions(**options)
