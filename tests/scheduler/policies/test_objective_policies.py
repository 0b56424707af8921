"""Throughput, energy, cost and chance, against each plan worked out alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan_table import PlanEntry, PlanTable
from scheduler.policies.base import Policy
from scheduler.policies.cost import CostOptions, CostPolicy
from scheduler.policies.energy import EnergyOptions, EnergyPolicy
from scheduler.policies.options import SwitchingOptions
from scheduler.policies.throughput import ThroughputPolicy
from tests.scheduler.policies.plan_cases import Stages, cases, stages_of, usable_of

Case = tuple[ChoiceRequest, Link]
Value = Callable[[Stages], float]
WATTS = {"busy": 5.0, "idle": 1.0, "radio": 2.0}
NEAR = 1.01


def busiest(stages: Stages) -> float:
    edge, up = stages.edge_wait + stages.edge, stages.up_queue + stages.up
    return max(edge, up, stages.down, stages.cloud_wait + stages.cloud)


def joules(stages: Stages) -> float:
    wire = stages.up + stages.down
    idle = stages.total - stages.edge
    return 5.0 * stages.edge + 1.0 * idle + 2.0 * wire


def money(stages: Stages) -> float:
    return 0.25 * stages.cloud


POLICIES = [
    pytest.param(ThroughputPolicy, {}, busiest, id="throughput"),
    pytest.param(EnergyPolicy, WATTS, joules, id="energy"),
    pytest.param(CostPolicy, {"price": 0.25}, money, id="cost"),
]


def made(kind: type, options: dict[str, float], switch_cost: float = 0.0) -> Policy:
    result: Policy = kind(kind.Options(**options, switch_cost=switch_cost))  # type: ignore[attr-defined]
    return result


@pytest.mark.parametrize(("kind", "options", "value"), POLICIES)
@settings(deadline=None)
@given(case=cases())
def test_takes_the_least_of_all_usable_plans_and_the_quickest_of_those_alike(
    kind: type, options: dict[str, float], value: Value, case: Case
) -> None:
    request, link = case
    chosen = made(kind, options).choose(request, link, Random(0)).entry
    usable = usable_of(request, link)
    values = {id(entry): value(stages_of(entry, request, link)) for entry in usable}
    least = min(values.values())
    assert values[id(chosen)] <= least * NEAR * (1 + 1e-9) + 1e-12
    alike = [entry for entry in usable if values[id(entry)] <= least]
    quickest_s = min(stages_of(entry, request, link).total for entry in alike)
    assert stages_of(chosen, request, link).total <= quickest_s * NEAR * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize(("kind", "options", "value"), POLICIES)
@settings(deadline=None)
@given(case=cases(), switch_cost=st.floats(0.001, 2))
def test_stays_with_the_plan_before_exactly_where_a_switch_gains_less_than_it_costs(
    kind: type, options: dict[str, float], value: Value, case: Case, switch_cost: float
) -> None:
    request, link = case
    before = next((e for e in usable_of(request, link) if e.plan.plan_id == request.previous), None)
    best = made(kind, options).choose(request, link, Random(0)).entry
    chosen = made(kind, options, switch_cost).choose(request, link, Random(0))
    price = {"busiest": 1.0, "joules": 5.0, "money": 0.25}[value.__name__]
    gain = 0.0 if before is None else value(stages_of(before, request, link)) - value(stages_of(best, request, link))
    if abs(gain - switch_cost * price) < 1e-9:
        return  # rounding decides
    stays = before is not None and gain < switch_cost * price
    assert chosen.entry is (before if stays else best)
    assert ("; kept: " in chosen.reason) == (stays and before is not best)


def test_a_long_wait_on_one_side_sends_the_next_request_to_the_other(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    cloud = PlanTable("net", "d" * 64, (entry(edge_s=0.05), entry("input", "file", cloud_s=0.06)))
    small = {"table": cloud, "file_bytes": 1000}
    kinds = [
        ThroughputPolicy().choose(request_of(**small, edge_queue_s=wait_s), link, Random(0)).entry.plan.kind
        for wait_s in (0.0, 0.1)
    ]
    assert kinds == ["edge-only", "cloud-only"]


def test_a_link_on_which_much_waits_is_a_stage_that_is_busy(entry, request_of, link) -> None:  # type: ignore[no-untyped-def]
    table = PlanTable("net", "d" * 64, (entry(edge_s=0.05), entry("input", "file", cloud_s=0.02)))
    kinds = [
        ThroughputPolicy()
        .choose(request_of(table=table, file_bytes=1000, uplink_queue_s=wait_s), link, Random(0))
        .entry.plan.kind
        for wait_s in (0.0, 0.1)
    ]
    assert kinds == ["cloud-only", "edge-only"]


def test_throughput_says_the_bottleneck(request_of, link) -> None:  # type: ignore[no-untyped-def]
    choice = ThroughputPolicy().choose(request_of(), link, Random(0))
    assert choice.reason.startswith("bottleneck 30 ms, split at blocks.4 (zstd): 72.6 ms")


def test_energy_says_the_joules(request_of, link) -> None:  # type: ignore[no-untyped-def]
    choice = EnergyPolicy(EnergyOptions(**WATTS)).choose(request_of(), link, Random(0))
    # 4 ms busy; 10 + 20 + 48 + 1.6 ms idle, 49.6 of them with the radio on top
    assert choice.reason.startswith("0.199 J, cloud-only (png)")


def test_a_radio_that_takes_much_keeps_requests_on_the_edge(request_of, link) -> None:  # type: ignore[no-untyped-def]
    hungry = EnergyPolicy(EnergyOptions(busy=5.0, idle=1.0, radio=100.0))
    assert hungry.choose(request_of(), link, Random(0)).entry.plan.kind == "edge-only"


def test_the_cheapest_plan_is_edge_only_unless_a_deadline_is_in_its_way(request_of, link) -> None:  # type: ignore[no-untyped-def]
    policy = CostPolicy(CostOptions(price=1.0))
    kinds = [
        policy.choose(request_of(remaining_s=left_s), link, Random(0)).entry.plan.kind for left_s in (None, 0.2, 0.09)
    ]
    assert kinds == ["edge-only", "edge-only", "split"]


def test_without_a_known_link_they_stay_on_the_edge(request_of) -> None:  # type: ignore[no-untyped-def]
    for policy in (ThroughputPolicy(), EnergyPolicy(EnergyOptions(**WATTS)), CostPolicy(CostOptions(price=1.0))):
        assert policy.choose(request_of(), None, Random(0)).entry.plan.kind == "edge-only"


def test_no_switch_cost_follows_every_gain(entry: Callable[..., PlanEntry], request_of, link) -> None:  # type: ignore[no-untyped-def]
    plans = (entry(edge_s=0.100), entry("a", edge_s=0.07))
    request = request_of(table=PlanTable("net", "d" * 64, plans), previous=plans[0].plan.plan_id)
    chosen = [
        ThroughputPolicy(SwitchingOptions(switch_cost=cost)).choose(request, link, Random(0)).entry.plan.kind
        for cost in (0.0, 0.04)
    ]
    assert chosen == ["split", "edge-only"]
