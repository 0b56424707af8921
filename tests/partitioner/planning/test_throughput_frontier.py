"""The frontier for throughput: its best plan is what a fresh search finds, at any bandwidth."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings

from isthmus.errors import InfeasibleCut
from partitioner.constrained_choice import NothingInTime
from partitioner.constraints import Constraints
from partitioner.link import Link
from partitioner.parametric_problem import ParametricProblem
from partitioner.partition import Setting, best_choice, best_plan
from partitioner.throughput_frontier import FASTEST_BPS, SLOWEST_BPS, Point, pareto_points, throughput_frontier
from tests.partitioner.random_problems import every_choice, problems


@pytest.mark.parametrize("loads", [(1.0, 1.0), (1.0, 30.0), (0.01, 1.0)])
@pytest.mark.parametrize("ratio", [1.0, 20.0])
def test_its_best_is_a_fresh_search(model: Any, setting: Setting, loads: tuple[float, float], ratio: float) -> None:
    costing = replace(setting.costing, edge_load=loads[0], cloud_load=loads[1], lossless=False)
    here, rng = replace(setting, link=Link(1e6, 1e6 / ratio, 0.01), costing=costing), random.Random(0)
    frontier = throughput_frontier(model, here)
    assert frontier.gap == 0.0
    for bps in (10 ** rng.uniform(3, 12) for _ in range(8)):
        fresh = best_plan(model, replace(here, link=Link(bps, bps / ratio, 0.01)), "throughput")
        assert frontier.best(bps).period_s(bps) == pytest.approx(fresh.value, rel=1e-9)


def test_each_plan_wins_where_it_says(model: Any, setting: Setting) -> None:
    frontier = throughput_frontier(model, setting)
    assert len(frontier.plans) > 1
    assert (frontier.plans[0].from_bps, frontier.plans[-1].to_bps) == (SLOWEST_BPS, FASTEST_BPS)
    assert all(a.to_bps == b.from_bps for a, b in pairwise(frontier.plans))
    for entry in frontier.plans:
        middle = (entry.from_bps * entry.to_bps) ** 0.5
        assert frontier.best(middle) is entry


def test_a_budget_is_kept(model: Any, setting: Setting) -> None:
    least = throughput_frontier(model, setting).plans[-1]
    sent = least.costs.uplink_bytes + least.costs.downlink_bytes
    rules = Constraints(wire_bytes=sent - 1)
    under = throughput_frontier(model, replace(setting, costing=replace(setting.costing, constraints=rules)))
    assert all(one.costs.uplink_bytes + one.costs.downlink_bytes < sent for one in under.plans)


def test_what_nothing_keeps_is_infeasible(model: Any, setting: Setting) -> None:
    rules = Constraints(cloud_ops=frozenset({"head"}), wire_bytes=1)
    with pytest.raises(InfeasibleCut, match="wire 1 B"):
        throughput_frontier(model, replace(setting, costing=replace(setting.costing, constraints=rules)))


def test_json_holds_plans_and_ranges(model: Any, setting: Setting) -> None:
    frontier = throughput_frontier(model, setting)
    read = json.loads(frontier.to_json())
    assert [one["to_bps"] for one in read["plans"]] == [one.to_bps for one in frontier.plans]
    assert read["plans"][0]["plan"]["model_digest"] == model.digest


@pytest.mark.parametrize("in_time", [1, 2])
def test_an_uplink_for_which_time_is_over_leaves_what_is_known(
    model: Any, setting: Setting, monkeypatch: pytest.MonkeyPatch, in_time: int
) -> None:
    asked = list[Any]()

    def so_often(*given: Any) -> Any:
        asked.append(given)
        if len(asked) > in_time:
            raise NothingInTime
        return best_choice(*given)

    monkeypatch.setattr("partitioner.throughput_frontier.best_choice", so_often)
    found = throughput_frontier(model, setting)
    assert len(asked) > in_time
    assert (found.gap, len(found.plans)) == (1.0, in_time)


@given(problems(forbidding=False))
@settings(deadline=None, max_examples=40)
def test_every_pareto_point_is_found(problem: ParametricProblem) -> None:
    """By the corners, where every choice is known; the search in a corner is the minimum by definition."""
    megabytes = 1e6  # a byte here: so that what is sent decides at bandwidths that there are
    choices = [
        Point(
            choice,
            max(choice.costs.edge_s, choice.costs.cloud_s),
            8 * megabytes * max(choice.costs.uplink_bytes, choice.costs.downlink_bytes),
        )
        for choice in every_choice(problem)
    ]

    def least(uplink_bps: float) -> Point:
        return min(choices, key=lambda one: one.period_s(uplink_bps))

    found = pareto_points([least(SLOWEST_BPS), least(FASTEST_BPS)], least)
    rng = random.Random(0)
    for bps in (10 ** rng.uniform(3, 12) for _ in range(50)):
        assert min(one.period_s(bps) for one in found) == pytest.approx(least(bps).period_s(bps), rel=1e-8)
