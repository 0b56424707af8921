"""What plans can be chosen for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InvalidInput, InvalidProfile
from partitioner.condition import CostVector
from partitioner.link import Link
from partitioner.measurements import Power, Price
from partitioner.objectives import objective_for
from partitioner.partition import Setting, best_plan, partition_graph, plans_to_compare
from partitioner.plan import Plan
from partitioner.profiles import DeviceProfile

POWER, PRICE = Power(busy_w=5.0, idle_w=1.0, radio_w=2.0, provenance="declared"), Price(0.001, "declared")


@pytest.fixture
def declared(setting: Setting) -> Setting:
    """With the edge's power and the cloud's price."""
    return replace(setting, edge=replace(setting.edge, power=POWER), cloud=replace(setting.cloud, price=PRICE))


def _stages(plan: Plan) -> tuple[float, float, float, float]:
    assert plan.predicted is not None
    return plan.predicted.edge_s, plan.predicted.uplink_s, plan.predicted.cloud_s, plan.predicted.downlink_s


def test_throughput_is_the_slowest_of_edge_link_and_cloud(model: Any, setting: Setting) -> None:
    best = best_plan(model, replace(setting, link=Link(2e7, 2e7, 0.0)), "throughput")
    edge_s, uplink_s, cloud_s, _ = _stages(best.plan)
    assert best.value == pytest.approx(max(edge_s, uplink_s, cloud_s), rel=0.01)
    assert best.gap == 0.0


def test_no_plan_to_compare_with_has_a_higher_throughput(model: Any, setting: Setting) -> None:
    here = replace(setting, link=Link(2e7, 2e7, 0.0))
    value = best_plan(model, here, "throughput").value
    assert all(value <= max(_stages(plan)) * (1 + 1e-9) for plan in plans_to_compare(model, here))


def test_energy_counts_computing_waiting_and_the_radio(model: Any, declared: Setting) -> None:
    best = best_plan(model, declared, "energy")
    edge_s, uplink_s, cloud_s, downlink_s = _stages(best.plan)
    wire_s = uplink_s + downlink_s - declared.link.rtt_s
    joules = 5 * edge_s + 1 * (uplink_s + cloud_s + downlink_s) + 2 * wire_s
    assert best.value == pytest.approx(joules, rel=0.01)  # the outputs' decoding is edge time, in a downlink stage


def test_what_costs_money_stays_on_the_edge(model: Any, declared: Setting) -> None:
    best = best_plan(model, declared, "cost")
    assert (best.plan.kind, best.value) == ("edge-only", 0.0)


def test_a_sum_lies_between_its_parts(model: Any, declared: Setting) -> None:
    parts = [best_plan(model, declared, name).value for name in ("latency", "energy")]
    both = best_plan(model, declared, {"latency": 1.0, "energy": 0.5})
    assert both.value >= parts[0] + 0.5 * parts[1] - 1e-12
    assert best_plan(model, declared, "latency+0.5*energy").plan.plan_id == both.plan.plan_id


def test_a_sum_with_throughput_adds_to_the_slowest_stage(model: Any, setting: Setting) -> None:
    here = replace(setting, link=Link(2e7, 2e7, 0.0))
    best = best_plan(model, here, "latency+0.5*throughput")
    edge_s, uplink_s, cloud_s, _ = _stages(best.plan)
    assert best.plan.predicted is not None
    slowest_s = max(edge_s, uplink_s, cloud_s)
    assert best.value == pytest.approx(best.plan.predicted.total_s + 0.5 * slowest_s, rel=0.01)
    assert best.plan.provenance["objective"].startswith("1*latency+0.5*throughput: ")


def test_provenance_says_what_was_wanted_and_how_sure_it_is(model: Any, setting: Setting) -> None:
    facts = partition_graph(model, setting, "throughput").provenance
    assert facts["objective"].startswith("throughput: ")
    assert facts["gap"] == "0, proven best"


@pytest.mark.parametrize(
    ("objective", "fault"),
    [
        ("glory", "not known"),
        ("latency+speed", "not known"),
        ("x*latency", "no sum"),
        ("-1*latency", "zero or more"),
        ("nan*latency", "zero or more"),
        (
            "latency+energy+latency",
            r"names latency more than once \(got 'latency\+energy\+latency'\); write latency once",
        ),
        ("2*latency + 3 * latency", "names latency more than once"),
        ("0*latency", r"weighs nothing.*\(got '0\*latency'\); give one of its parts a weight above zero"),
        ("0*latency+-0*throughput", "weighs nothing"),
        ("energy", "power"),
        ("cost", "price"),
    ],
)
def test_an_objective_that_cannot_be_is_refused(setting: Setting, objective: str, fault: str) -> None:
    with pytest.raises(InvalidInput, match=fault):
        objective_for(objective, setting)


@pytest.mark.parametrize("weights", [{}, {"latency": 0.0, "throughput": 0.0}])
def test_weights_that_are_all_zero_are_refused(setting: Setting, weights: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="weighs nothing"):
        objective_for(weights, setting)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("1e+3*latency", "latency"),
        ("2*throughput", "throughput"),
        ("latency+0*throughput", "latency"),
        ("latency+0*energy", "latency"),  # of a device that declares no power
        ("2.e+0*latency+1e-1*throughput", "2*latency+0.1*throughput"),
    ],
)
def test_what_is_left_alone_is_itself(setting: Setting, wanted: str, name: str) -> None:
    assert objective_for(wanted, setting).name == name


def test_a_part_may_weigh_nothing(setting: Setting) -> None:
    assert objective_for("0*latency+throughput", setting).value(CostVector(1.0, 0, 0, 0.5), crosses=False) == 1.0


def test_power_and_price_travel_with_the_profile(declared: Setting) -> None:
    for profile in (declared.edge, declared.cloud):
        assert DeviceProfile.from_json(profile.to_json()) == profile


@pytest.mark.parametrize("watts", [(-1.0, 0.0, 0.0), (1.0, 2.0, 0.0), (1.0, 1.0, float("nan"))])
def test_power_that_is_none_is_refused(watts: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidProfile):
        Power(*watts, provenance="declared")
