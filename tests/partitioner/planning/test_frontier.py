"""The frontier of a model: its best plan is what a fresh solve finds, under any condition."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InfeasibleCut, InvalidInput, InvalidPlan
from partitioner.condition import Condition
from partitioner.frontier import Frontier, frontier_of
from partitioner.link import Link
from partitioner.partition import Setting, partition_graph
from partitioner.plan import Plan


def _under(setting: Setting, condition: Condition) -> Setting:
    costing = replace(setting.costing, edge_load=condition.edge_load, cloud_load=condition.cloud_load)
    return replace(setting, link=condition.link, costing=costing)


def _anywhere(rng: random.Random) -> Condition:
    bps = 10 ** rng.uniform(3, 11)
    return Condition(
        Link(bps, bps, rng.choice((0.0, 10 ** rng.uniform(-4, 1)))), *(10 ** rng.uniform(-2, 2) for _ in "ab")
    )


@pytest.mark.parametrize("form", ["tensor", "bytes"])
@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("rule", ["", "private_input", "cloud-required"])
def test_its_best_is_a_fresh_solve(model: Any, setting: Setting, form: str, lossless: bool, rule: str) -> None:
    private = rule == "private_input"
    costing = replace(setting.costing, form=form, lossless=lossless, private_input=private)  # type: ignore[arg-type]
    here = replace(setting, costing=costing)
    if rule == "cloud-required":
        model = replace(model, interface=replace(model.interface, autonomy=rule))
    frontier, rng = frontier_of(model, here), random.Random(0)
    for condition in (_anywhere(rng) for _ in range(40)):
        fresh = partition_graph(model, _under(here, condition))
        assert fresh.predicted is not None
        assert frontier.best(condition).total_s(condition) == pytest.approx(fresh.predicted.total_s, rel=1e-9)


def test_the_kinds_follow_the_bandwidth(model: Any, setting: Setting) -> None:
    frontier = frontier_of(model, setting)
    links = [Link.of(bandwidth, "2ms") for bandwidth in ("10kbps", "20mbps", "100gbps")]
    assert [frontier.best(Condition(link)).plan.kind for link in links] == ["edge-only", "split", "cloud-only"]


def test_a_loaded_edge_moves_work_to_the_cloud(model: Any, setting: Setting) -> None:
    frontier = frontier_of(model, setting)
    ops = [len(frontier.best(Condition(setting.link, edge_load=load)).plan.edge_ops) for load in (0.001, 1.0, 1000.0)]
    assert ops == [4, 2, 0]


def test_edge_only_is_there_for_long_round_trips(model: Any, setting: Setting) -> None:
    frontier = frontier_of(model, setting)
    assert frontier.best(Condition(Link.of("100gbps", "1h"))).plan.kind == "edge-only"


def test_slower_downlinks_count(model: Any, setting: Setting) -> None:
    link = Link(1e9, 1e4, 0.0)
    frontier = frontier_of(model, replace(setting, link=link))
    fresh = partition_graph(model, replace(setting, link=link)).predicted
    assert fresh is not None
    assert frontier.downlink_ratio == 1e5
    assert frontier.best(Condition(link)).total_s(Condition(link)) == pytest.approx(fresh.total_s, rel=1e-9)


def test_its_plans_are_those_of_a_solve(model: Any, setting: Setting) -> None:
    """Same cut and codecs, so the same ids."""
    fresh = partition_graph(model, setting)
    best = frontier_of(model, setting).best(Condition(setting.link)).plan
    assert (best.plan_id, best.wire_digest, best.boundary) == (fresh.plan_id, fresh.wire_digest, fresh.boundary)


def test_bytes_of_the_costs_are_those_of_the_plan(model: Any, setting: Setting) -> None:
    for entry in frontier_of(model, setting).plans:
        assert entry.costs.uplink_bytes == entry.plan.uplink_bytes


def test_json_reads_back_equal(model: Any, setting: Setting) -> None:
    frontier = frontier_of(model, setting)
    assert Frontier.from_json(frontier.to_json()) == frontier


def test_json_with_a_strange_key_is_refused(model: Any, setting: Setting) -> None:
    text = frontier_of(model, setting).to_json().replace('"downlink_ratio"', '"uplink_ratio"')
    with pytest.raises(InvalidPlan, match="frontier"):
        Frontier.from_json(text)


def test_a_plan_of_another_model_is_refused(model: Any, setting: Setting) -> None:
    frontier = frontier_of(model, setting)
    entry = frontier.plans[0]
    stranger: Plan = replace(entry.plan, model_digest="e" * 64)
    with pytest.raises(InvalidPlan, match="another model"):
        replace(frontier, plans=(replace(entry, plan=stranger),))


def test_rules_that_leave_nothing_are_infeasible(model: Any, setting: Setting) -> None:
    wide = replace(model.graph.tensors["wide"], consumers=(), is_output=True)
    tensors = {"image": model.graph.tensors["image"], "wide": wide}
    graph = replace(model.graph, ops=model.graph.ops[:1], tensors=tensors, outputs=("wide",))
    big = replace(model, graph=graph, interface=replace(model.interface, autonomy="cloud-required"))
    with pytest.raises(InfeasibleCut):
        frontier_of(big, replace(setting, costing=replace(setting.costing, private_input=True)))


@pytest.mark.parametrize("load", [0.0, -1.0, float("nan"), float("inf")])
def test_a_load_that_is_none_is_refused(setting: Setting, load: float) -> None:
    with pytest.raises(InvalidInput, match="edge_load"):
        Condition(setting.link, edge_load=load)
