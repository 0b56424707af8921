"""All plans predicted at once are as each is predicted alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings

from isthmus.errors import DeadlineUnreachable
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import AffineTime
from partitioner.plan_table import Correction, PlanTable
from scheduler.policies.corrected import Corrections
from scheduler.policies.cost import CostOptions, CostPolicy
from scheduler.policies.energy import EnergyOptions, EnergyPolicy
from scheduler.policies.forecast import forecast
from scheduler.policies.latency import LatencyPolicy
from scheduler.policies.random_choice import RandomOptions, RandomPolicy
from scheduler.policies.throughput import ThroughputPolicy
from tests.scheduler.conftest import DIGEST, make_entry
from tests.scheduler.policies.plan_cases import cases, stages_of


@settings(deadline=None)
@given(cases())
def test_every_total_is_the_sum_of_the_plans_own_stages(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    expected = [stages_of(entry, request, link).total for entry in request.table.entries]
    assert forecast(request, link).total_s == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(cases())
def test_a_breakdown_has_the_waits_where_they_are_spent(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    found = forecast(request, link)
    for number, entry in enumerate(found.entries):
        stages, said = stages_of(entry, request, link), found.predicted(number)
        assert said.edge_s == pytest.approx(stages.edge_wait + stages.edge)
        assert said.uplink_s == pytest.approx(stages.up_wait + stages.up + stages.rtt / 2)
        assert said.cloud_s == pytest.approx(stages.cloud_wait + stages.cloud)
        assert said.downlink_s == pytest.approx(stages.down + stages.rtt / 2)
        assert said.overhead_s == pytest.approx(stages.besides)


@settings(deadline=None)
@given(cases())
def test_one_plan_alone_is_predicted_as_the_table_says(case: tuple[ChoiceRequest, Link]) -> None:
    request, link = case
    idle = request._replace(edge_queue_s=0.0, cloud_queue_s=0.0, uplink_queue_s=0.0, corrections={})
    found = forecast(idle, link)
    for number, entry in enumerate(found.entries):
        alone = entry.predict(idle.batch, idle.file_bytes, link, overhead_s=idle.overhead_s)
        assert found.predicted(number).total_s == pytest.approx(alone.total_s)


def test_what_was_learned_is_worked_out_once_for_each_size(table, request_of, link) -> None:  # type: ignore[no-untyped-def]
    known = Corrections({table.entries[0].plan.plan_id: Correction(edge=2.0)})
    one, again, larger = (known.amounts(table, "bytes", batch) for batch in (1, 1, 2))
    assert one is again
    assert larger is not one
    choices = [LatencyPolicy().choose(request_of(corrections=c), link, Random(0)) for c in (known, dict(known))]
    assert choices[0] == choices[1]


def test_amounts_of_another_table_are_worked_out_anew(table, request_of, entry, link) -> None:  # type: ignore[no-untyped-def]
    known, other = Corrections({}), type(table)("net", "d" * 64, (entry(edge_s=0.5),))
    forecast(request_of(corrections=known), link)
    assert forecast(request_of(corrections=known, table=other), link).total_s == [0.5]


def test_many_sizes_of_requests_do_not_pile_up(table) -> None:  # type: ignore[no-untyped-def]
    known = Corrections({})
    for batch in range(1, 200):
        known.amounts(table, "bytes", batch)
    assert len(known._amounts) <= 32


# ---- on an idle edge -----------------------------------------------------------------------------------------------

UNSURE = PlanTable(
    "net",
    DIGEST,
    (
        make_entry(edge_s=0.101, spread=0.05),
        make_entry("blocks.4", "zstd", edge_s=0.030, size=40_000, cloud_s=0.005),
        make_entry("input", "png", edge_s=0.004, size=120_000, cloud_s=0.010),
    ),
)
"""On the fixture's link, known to a third: with 1 %, rather than not and with 90 % in time from 89, 101 and 107 ms on
(edge-only), 61, 73 and 80 ms (the split), 50, 84 and 106 ms (cloud-only)."""


def kinds_in_time(request_of, link, remaining_s: float, **facts: object) -> set[str]:  # type: ignore[no-untyped-def]
    asked = {"spare_s": 0.0, "sureness": 0.9, "idle": True, "uplink_spread": 0.3, "remaining_s": remaining_s, **facts}
    found = forecast(request_of(table=UNSURE, **asked), link)
    return {found.entries[number].plan.kind for number in found.usable()}


@pytest.mark.parametrize(
    ("remaining_s", "kinds"),
    [
        (0.110, {"edge-only", "split", "cloud-only"}),
        (0.085, {"split"}),
        (0.075, {"split"}),
        (0.070, {"split", "cloud-only"}),
        (0.055, {"cloud-only"}),
    ],
    ids=["sure", "one is sure", "one rather than not", "none", "one is not hopeless"],
)
def test_on_an_idle_edge_the_sure_plans_come_first_then_the_likely_then_those_with_a_chance(  # type: ignore[no-untyped-def]
    request_of, link, remaining_s: float, kinds: set[str]
) -> None:
    assert kinds_in_time(request_of, link, remaining_s) == kinds


def test_only_what_is_hopeless_is_refused_on_an_idle_edge_and_all_that_is_not_sure_beside_others(  # type: ignore[no-untyped-def]
    request_of, link
) -> None:
    with pytest.raises(DeadlineUnreachable):
        kinds_in_time(request_of, link, 0.045)
    with pytest.raises(DeadlineUnreachable):
        kinds_in_time(request_of, link, 0.075, idle=False)


def test_what_the_edge_has_the_time_for_is_sure_on_an_idle_edge(request_of, link) -> None:  # type: ignore[no-untyped-def]
    assert kinds_in_time(request_of, link, 0.075, spare_s=0.05) == {"split", "cloud-only"}


@pytest.mark.parametrize(
    "policy",
    [
        CostPolicy(CostOptions(price=1.0)),
        EnergyPolicy(EnergyOptions(busy=1e-3, idle=1e-3, radio=9.0)),
        ThroughputPolicy(),
        RandomPolicy(RandomOptions(weights={"edge-only": 1.0})),
    ],
    ids=["cost", "energy", "throughput", "random"],
)
def test_no_policy_takes_a_plan_that_hardly_ends_in_time_for_its_own_reasons(request_of, link, policy) -> None:  # type: ignore[no-untyped-def]
    asked = {"spare_s": 0.0, "sureness": 0.9, "idle": True, "uplink_spread": 0.3}
    chosen = [
        policy.choose(request_of(table=UNSURE, **asked, **facts), link, Random(0)).entry.plan.kind
        for facts in ({"remaining_s": 0.095}, {"remaining_s": 0.095, "cloud_queue_s": 0.001})
    ]
    assert chosen == ["split", "split"]


def test_what_the_edge_takes_for_the_rest_goes_by_how_long_it_takes_of_late(request_of, link) -> None:  # type: ignore[no-untyped-def]
    split = UNSURE.entries[1]
    split = replace(split, costs=replace(split.costs, local_finish=AffineTime(0.02, 0.03)))
    throttled = {split.plan.plan_id: Correction(edge=9.0, finish=1.5)}
    table = PlanTable("net", DIGEST, (split,))
    choice = LatencyPolicy().choose(request_of(table=table, batch=2, corrections=throttled), link, Random(0))
    assert choice.finishes_in_s(2) == pytest.approx(1.5 * 0.08)
    assert replace(choice, finish_s=None).finishes_in_s(2) == pytest.approx(0.08)
