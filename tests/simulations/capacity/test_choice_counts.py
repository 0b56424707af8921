"""Choices that would change nothing, or less than they say, are refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import InvalidConfiguration
from simulations.capacity.choice_counts import policies_replaced
from simulations.capacity.planner import CapacityPlanner
from simulations.scenario.capacity import CapacitySection
from tests.simulations.capacity.conftest import Make
from tests.simulations.replay.logs import decided, lines_of, refused, written
from tests.simulations.test_site import EDGE
from tests.simulations.workload.test_logged import asked

LAN: Mapping[str, Any] = {"name": "cell", "count": 4, "link": "lan"}
NET: Mapping[str, Any] = {"name": "net", "plans": "plans.json"}
OWN = {"edges.cell.plans.net": "own.json"}


def types(replica_type: Mapping[str, Any], edge_type: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """One replica type, and one edge type where one is given."""
    return {"replica_types": {"large": replica_type}, "edge_types": {} if edge_type is None else {"box": edge_type}}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"models": [{**NET, "policy": "edge-only"}]}, r"models\.net\.policy"),
        ({"edges": [{**LAN, "request_classes": {"log": "cost"}}]}, r"edges\.cell\.request_classes\.log"),
    ],
)
def test_a_policy_for_some_requests_only_is_refused_where_policies_are_compared(
    scenario_of: Make, changed: Mapping[str, Any], field: str
) -> None:
    CapacityPlanner(scenario_of(**changed))
    with pytest.raises(InvalidConfiguration, match=rf"{field}: decides before capacity\.policies .*leave it out"):
        CapacityPlanner(scenario_of(**changed, capacity={"policies": ["latency", "edge-only"]}))


@pytest.mark.parametrize(
    ("capacity", "field"),
    [
        (types({"cloud.speed": 2}, {"edges.cell.policy": "edge-only"}), r"edge_types\.box\.edges\.cell\.policy"),
        (types({"edges.cell.policy.name": "cost"}), r"replica_types\.large\.edges\.cell\.policy\.name"),
        (types({"cloud.speed": 2}, {"edges.cell": {**LAN, "policy": "cost"}}), r"edge_types\.box\.edges\.cell"),
        (types({"cloud.speed": 2}, {"edges": [{**LAN, "policy": "cost"}]}), r"edge_types\.box\.edges"),
    ],
)
def test_a_types_own_policy_is_refused_where_policies_are_compared(
    scenario_of: Make, capacity: Mapping[str, Any], field: str
) -> None:
    CapacityPlanner(scenario_of(capacity=capacity, prices="prices.yaml"))
    with pytest.raises(InvalidConfiguration, match=rf"capacity\.{field}: sets a policy .*leave it out"):
        CapacityPlanner(scenario_of(capacity={**capacity, "policies": ["latency"]}, prices="prices.yaml"))


def test_only_an_edges_policy_that_is_written_counts_as_replaced(scenario_of: Make) -> None:
    compared, written = {"policies": ["cost"]}, [{**LAN, "policy": "edge-only"}]
    for changed, replaced in (
        ({"capacity": compared}, ()),
        ({"edges": written}, ()),
        ({"edges": written, "capacity": compared}, ("edges.cell.policy (edge-only)",)),
    ):
        scenario = scenario_of(**changed).scenario
        assert policies_replaced(scenario, scenario.capacity or CapacitySection()) == replaced


@pytest.mark.parametrize(
    ("capacity", "changed", "field"),
    [
        (types({"models.net.plans": "large.json"}, OWN), {}, r"edges\.cell\.plans\.net"),
        (types(OWN, {"edges.cell.plans": {"net": "box.json"}}), {}, r"edges\.cell\.plans\.net"),
        (types({"models.net.plans": "large.json"}, {"models.net.plans": "box.json"}), {}, r"models\.net\.plans"),
        (
            types({"models.net.plans": "large.json"}),
            {"edges": [{**LAN, "plans": {"net": "old.json"}}]},
            r"edges\.cell\.plans\.net",
        ),
    ],
)
def test_plans_that_take_the_place_of_a_replica_types_are_refused(
    scenario_of: Make, capacity: Mapping[str, Any], changed: Mapping[str, Any], field: str
) -> None:
    with pytest.raises(InvalidConfiguration, match=rf"{field}: takes the place of the plans of replica type large"):
        CapacityPlanner(scenario_of(**changed, capacity=capacity, prices="prices.yaml"))


@pytest.mark.parametrize(
    ("capacity", "changed"),
    [
        (types({"models.net.plans": "large.json"}, {"edges.cell.slowdown": 2}), {}),
        (types({"cloud.speed": 2}, OWN), {}),
        (types({"models.net.plans": "large.json", **OWN}), {"edges": [{**LAN, "plans": {"net": "old.json"}}]}),
        (
            types({"models.net.plans": "large.json"}),
            {"models": [NET, {**NET, "name": "other"}], "edges": [{**LAN, "plans": {"other": "old.json"}}]},
        ),
    ],
)
def test_types_of_which_each_counts_are_taken(
    scenario_of: Make, capacity: Mapping[str, Any], changed: Mapping[str, Any]
) -> None:
    CapacityPlanner(scenario_of(**changed, capacity=capacity, prices="prices.yaml"))


def test_clients_of_a_log_ask_of_the_models_that_it_names(scenario_of: Make, tmp_path: Path) -> None:
    written(tmp_path / "log.jsonl", lines_of([refused(1.0), decided(asked(3600.0), EDGE)]))
    arrivals = {"kind": "logged", "log": str(tmp_path / "log.jsonl"), "start": "0s"}
    lane = {"name": "lane", "edges": "cell", "arrivals": arrivals}
    capacity = types({"models.net.plans": "large.json"})
    CapacityPlanner(scenario_of(clients=[lane], capacity=capacity, prices="prices.yaml"))
    overridden = {"clients": [lane], "edges": [{**LAN, "plans": {"net": "old.json"}}]}
    with pytest.raises(InvalidConfiguration, match=r"models\.net\.plans|edges\.cell\.plans\.net"):
        CapacityPlanner(scenario_of(**overridden, capacity=capacity, prices="prices.yaml"))
