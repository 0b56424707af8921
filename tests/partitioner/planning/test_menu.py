"""The menu keeps its promise everywhere in its domain, with as few cuts as can."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InvalidInput
from partitioner.condition import Condition
from partitioner.frontier import Frontier, FrontierPlan, frontier_of
from partitioner.link import Link
from partitioner.menu import Domain, Menu, menu_of
from partitioner.partition import Setting


def _within(domain: Domain, rng: random.Random) -> Condition:
    def between(least: float, most: float) -> float:
        return math.exp(rng.uniform(math.log(least), math.log(most)))

    bps = between(*domain.bandwidths_bps)
    rtt_s = rng.choice((0.0, between(1e-4, 1.0)))
    return Condition(Link(bps, bps, rtt_s), between(*domain.edge_loads), between(*domain.cloud_loads))


def _excess(frontier: Frontier, plans: Iterable[FrontierPlan], condition: Condition) -> float:
    best = frontier.best(condition).total_s(condition)
    return min(plan.total_s(condition) for plan in plans) / best - 1


def _plans(menu: Menu) -> list[FrontierPlan]:
    return [plan for cut in menu.cuts for plan in cut.plans]


@pytest.fixture
def frontier(model: Any, setting: Setting) -> Frontier:
    """Of the plain model, lossy codecs allowed."""
    return frontier_of(model, replace(setting, costing=replace(setting.costing, lossless=False)))


@pytest.mark.parametrize("tolerance", [0.0, 0.001, 0.02, 0.3])
@pytest.mark.parametrize("domain", [Domain(), Domain((1e4, 1e11), (0.1, 10.0), (1.0, 1.0)), Domain((2e7, 2e7))])
def test_its_excess_holds_at_random_conditions(frontier: Frontier, tolerance: float, domain: Domain) -> None:
    menu, rng = menu_of(frontier, tolerance, domain), random.Random(1)
    assert menu.excess <= tolerance + 1e-12
    for condition in (_within(domain, rng) for _ in range(200)):
        assert _excess(frontier, _plans(menu), condition) <= menu.excess + 1e-9


def test_no_fewer_cuts_would_do(frontier: Frontier) -> None:
    domain = Domain((1e4, 1e11), (0.1, 10.0), (0.1, 10.0))
    menu, rng = menu_of(frontier, 0.02, domain), random.Random(2)
    conditions = [_within(domain, rng) for _ in range(300)]
    cuts = {plan.plan.edge_ops for plan in frontier.plans}
    assert menu.is_fewest
    for fewer in itertools.combinations(sorted(cuts), len(menu.cuts) - 1):
        plans = [plan for plan in frontier.plans if plan.plan.edge_ops in fewer]
        assert max(_excess(frontier, plans, condition) for condition in conditions) > 0.02


def test_a_looser_promise_takes_no_more_cuts(frontier: Frontier) -> None:
    sizes = [len(menu_of(frontier, tolerance).cuts) for tolerance in (0.0, 0.01, 0.1, 1.0, 100.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1


def test_edge_only_is_always_offered_where_it_may_be(frontier: Frontier) -> None:
    menu = menu_of(frontier, 0.02, Domain((1e12, 1e13)))
    assert menu.cuts[0].edge_ops == ("stem", "body", "grow", "head")


def test_too_many_cuts_cost_tolerance(frontier: Frontier) -> None:
    domain = Domain((1e4, 1e11), (0.1, 10.0), (0.1, 10.0))
    wished = menu_of(frontier, 0.0, domain)
    menu = menu_of(frontier, 0.0, domain, most_cuts=len(wished.cuts) - 1)
    assert len(menu.cuts) < len(wished.cuts)
    assert 0 < menu.excess <= menu.tolerance


def test_a_model_that_requires_the_cloud_has_no_edge_only(model: Any, setting: Setting) -> None:
    big = replace(model, interface=replace(model.interface, autonomy="cloud-required"))
    assert all(len(cut.edge_ops) < 4 for cut in menu_of(frontier_of(big, setting)).cuts)


def test_the_default_domain_offers_the_narrow_cut(frontier: Frontier) -> None:
    assert ("stem", "body") in {cut.edge_ops for cut in menu_of(frontier).cuts}


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0)])
def test_a_domain_that_is_none_is_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="edge_loads"):
        Domain(edge_loads=bounds)


def test_a_menu_without_cuts_is_refused(frontier: Frontier) -> None:
    with pytest.raises(InvalidInput, match="menu"):
        menu_of(frontier, most_cuts=0)
