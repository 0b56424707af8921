"""Fleets to choose from: what each combination of types and policy sets in a scenario, and what it costs an hour."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.errors import InvalidConfiguration
from simulations.answers.prices import Prices
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.edges import EdgeSection
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.scenario import Scenario
from simulations.scenario.sweep import with_settings

__all__ = ["CLOUD", "HOUR_S", "FleetChoice", "choices", "edge_group", "fleet_price", "prices_by_group"]

HOUR_S = 3600.0
CLOUD = "cloud"  # the group of replicas that have no type
Setting = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class FleetChoice:
    """A fleet but for how many replicas it has. replica_type, edge_type, policy: "" for as the scenario says; they tell
    it from others, as what they set may be whole sections, which have no hash. edge_fields: that the edge type sets."""

    replica_type: str
    edge_type: str
    policy: str
    settings: tuple[Setting, ...] = field(compare=False)
    edge_fields: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """In words; "as the scenario says" where nothing is chosen."""
        edges = f"edges {self.edge_type}" if self.edge_type else ""
        return ", ".join(filter(None, (self.replica_type, edges, self.policy))) or "as the scenario says"

    def scenario(self, file: ScenarioFile, replicas: int) -> Scenario:
        """With so many. Raises InvalidConfiguration naming a field that is not there, or a value that cannot be."""
        return with_settings(file, (*self.settings, ("cloud.replicas", replicas))).scenario


def choices(file: ScenarioFile) -> tuple[FleetChoice, ...]:
    """Every combination of what `capacity` names. Raises InvalidConfiguration for a cloud that scales by itself."""
    scenario = file.scenario
    if scenario.cloud.autoscaling is not None:
        remedy = "leave it out: what is asked is how many there must be at the busiest"
        raise InvalidConfiguration("cloud.autoscaling", "decides how many replicas there are", remedy=remedy)
    section = scenario.capacity or CapacitySection()
    return tuple(
        FleetChoice(
            replica_type, edge_type, policy, (*of_replicas, *of_edges, *of_policy), tuple(path for path, _ in of_edges)
        )
        for (replica_type, of_replicas), (edge_type, of_edges), (policy, of_policy) in itertools.product(
            _types(section.replica_types), _types(section.edge_types), _policies(scenario, section)
        )
    )


def _types(types: Mapping[str, Mapping[str, Any]]) -> Sequence[tuple[str, tuple[Setting, ...]]]:
    return [(name, tuple(settings.items())) for name, settings in types.items()] or [("", ())]


def _policies(scenario: Scenario, section: CapacitySection) -> Iterator[tuple[str, tuple[Setting, ...]]]:
    if not section.policies:
        yield "", ()
    for policy in section.policies:
        options = ", ".join(f"{key}={value}" for key, value in policy.options.items())
        written = {"name": policy.name, **policy.options}
        said = f"{policy.name} ({options})" if options else policy.name
        yield said, tuple((f"edges.{edge.name}.policy", written) for edge in scenario.edges)


def fleet_price(choice: FleetChoice, scenario: Scenario, replicas: int, prices: Prices) -> float:
    """An hour of its machines, traffic aside. Raises InvalidConfiguration where a price lacks."""
    edges = sum(section.count * prices.of_edge(edge_group(choice, scenario, section)) for section in scenario.edges)
    return HOUR_S * (replicas * prices.of_replica(choice.replica_type or CLOUD) + edges)


def edge_group(choice: FleetChoice, scenario: Scenario, section: EdgeSection) -> str:
    """By what an edge of that group is priced: its type, where the type sets anything of it, be it the times of the
    plans that it runs. scenario: of that choice. section: the group's."""
    asked = {model for one in scenario.clients if one.edges == section.name for model in one.asked_models()}
    plans = {f"models.{model}.plans" for model in asked - section.plans.keys()}
    number = [one.name for one in scenario.edges].index(section.name)
    of_type = any(path in plans or _sets(path, section.name, number) for path in choice.edge_fields)
    return choice.edge_type if of_type else section.name


def _sets(path: str, name: str, number: int) -> bool:
    """Whether a setting is of that group, by its name or its number, or of all groups; a policy makes no other edge."""
    kind, _, rest = path.partition(".")
    group, _, what = rest.partition(".")
    if kind != "edges" or what.partition(".")[0] == "policy":
        return False
    return group in ("", name, str(number))


def prices_by_group(prices: Prices | None, scenario: Scenario, choice: FleetChoice) -> Prices | None:
    """For the bill of a run, which knows groups and no types."""
    if prices is None:
        return None
    replica = prices.of_replica(choice.replica_type or CLOUD)
    edges = (
        {one.name: prices.of_edge(edge_group(choice, scenario, one)) for one in scenario.edges}
        if prices.edge_per_s
        else {}
    )
    return Prices(
        prices.currency, {CLOUD: replica}, edges, prices.uplink_per_byte, prices.downlink_per_byte, prices.source
    )
