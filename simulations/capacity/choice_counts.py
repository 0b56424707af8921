"""Whether what `capacity` sets counts: where something narrower in the scenario has the last word, fleets that are
alike would be compared as if they differed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from isthmus.errors import InvalidConfiguration
from simulations.capacity.candidate import FleetChoice
from simulations.scenario.capacity import CapacitySection
from simulations.scenario.reading import ScenarioFile
from simulations.scenario.scenario import Scenario

__all__ = ["check_choice_counts", "policies_replaced"]


def check_choice_counts(file: ScenarioFile, section: CapacitySection, choice: FleetChoice, scenario: Scenario) -> None:
    """section: what may be chosen. scenario: as the choice makes it. Raises InvalidConfiguration naming the field that
    has the last word."""
    if choice.policy:
        _check_types(section)
        _check_policy(scenario)
    if choice.replica_type:
        _check_plans(file, section, choice, scenario)


def policies_replaced(scenario: Scenario, section: CapacitySection) -> tuple[str, ...]:
    """The fields of the scenario in whose place `capacity.policies` decide, each with what it says; those left out say
    nothing."""
    if not section.policies:
        return ()
    said = [one for one in scenario.edges if "policy" in one.model_fields_set]
    return tuple(f"edges.{one.name}.policy ({one.policy.name})" for one in said)


def _check_types(section: CapacitySection) -> None:
    """A type's policy is part of what is chosen, and so is each of `policies`: the second would take its place."""
    for kind, types in (("replica_types", section.replica_types), ("edge_types", section.edge_types)):
        for name, settings in types.items():
            for path, value in settings.items():
                if _sets_policy(path, value):
                    field, problem = f"capacity.{kind}.{name}.{path}", "sets a policy that capacity.policies replaces"
                    remedy = "leave it out, and the type is tried with each of them; or leave out capacity.policies"
                    raise InvalidConfiguration(field, problem, value=value, remedy=remedy)


def _sets_policy(path: str, value: Any) -> bool:
    """Of edges: by its own path, or inside a group or all groups that are set as a whole."""
    first, *rest = path.split(".")
    if first != "edges":
        return False
    if len(rest) > 1:
        return rest[1] == "policy"
    groups = value if not rest and isinstance(value, list) else [value]
    return any(isinstance(one, Mapping) and "policy" in one for one in groups)


def _check_policy(scenario: Scenario) -> None:
    for field, name in _narrower(scenario):
        remedy = "leave it out: those decide for all requests; or leave out capacity.policies"
        raise InvalidConfiguration(field, "decides before capacity.policies", value=name, remedy=remedy)


def _narrower(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """The fields that name a policy for some of the requests, and its name."""
    for model in scenario.models:
        if model.policy is not None:
            yield f"models.{model.name}.policy", model.policy.name
    for edge in scenario.edges:
        for name, policy in edge.request_classes.items():
            yield f"edges.{edge.name}.request_classes.{name}", policy.name


def _check_plans(file: ScenarioFile, section: CapacitySection, choice: FleetChoice, scenario: Scenario) -> None:
    """A plan file holds the times of both sides: an edge with a file of its own takes the replicas' times out of that,
    whatever the replica type says of the model."""
    settings = tuple(section.replica_types[choice.replica_type].items())
    of_type = FleetChoice(choice.replica_type, "", "", settings).scenario(file, scenario.cloud.replicas)
    before, alone, both = _plan_files(file.scenario), _plan_files(of_type), _plan_files(scenario)
    models_before = {one.name: one.plans for one in file.scenario.models}
    said = {one.name for one in of_type.models if one.plans != models_before.get(one.name)}
    for pair in sorted(both.keys() & alone.keys()):
        (field, plans), of_the_pair = both[pair], alone[pair] != before.get(pair)
        if (of_the_pair and plans != alone[pair][1]) or (not of_the_pair and pair[1] in said):
            problem = f"takes the place of the plans of replica type {choice.replica_type}, times of replicas included"
            remedy = f"set {field} in that type, from profiles of both kinds, and in no edge type; or set cloud.speed"
            raise InvalidConfiguration(field, problem, value=plans, remedy=remedy)


def _plan_files(scenario: Scenario) -> Mapping[tuple[str, str], tuple[str, str]]:
    """By group of edges and model, as far as clients ask for it: the field that names the file of its plans, and the
    file."""
    edges = {one.name: one.plans for one in scenario.edges}
    models = {one.name: one.plans for one in scenario.models}

    def found(edge: str, model: str) -> tuple[str, str]:
        own = edges[edge].get(model)
        return (f"models.{model}.plans", models[model]) if own is None else (f"edges.{edge}.plans.{model}", own)

    asked = ((one.edges, model) for one in scenario.clients for model in one.asked_models())
    return {pair: found(*pair) for pair in asked}
