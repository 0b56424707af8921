"""The policies of a scenario's edges: as a live edge takes them from its configuration file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from isthmus.errors import InvalidConfiguration, InvalidInput, NotFound
from isthmus.policy_configuration import PolicyConfiguration
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.steering import EVERYTHING, PolicySetting, Scope
from scheduler.policies.factory import checked_options, module_file
from simulations.scenario.edges import EdgeSection
from simulations.scenario.scenario import Scenario

__all__ = ["own_policy_files", "policies_of"]


def policies_of(scenario: Scenario, edge: EdgeSection, folder: str) -> ConfiguredPolicies:
    """Of one group. folder: where the scenario lies. Raises InvalidConfiguration naming the field."""
    scoped = (ScopedPolicy(scope, _checked(policy, field, folder)) for scope, field, policy in _written(scenario, edge))
    return ConfiguredPolicies(tuple(scoped), folder)


def own_policy_files(scenario: Scenario, folder: str) -> Mapping[str, Path]:
    """The files of the modules of policies that are written as `module:Class`, by what is written. What is not found is
    left out: `policies_of` says what is wrong with it. folder: where the scenario lies."""
    names = {policy.name for edge in scenario.edges for _, _, policy in _written(scenario, edge)}
    files = {name: module_file(name, folder) for name in names}
    return {name: file for name, file in files.items() if file is not None}


def _written(scenario: Scenario, edge: EdgeSection) -> Iterator[tuple[Scope, str, PolicyConfiguration]]:
    yield EVERYTHING, f"edges.{edge.name}.policy", edge.policy
    for name, policy in edge.request_classes.items():
        yield Scope("", name), f"edges.{edge.name}.request_classes.{name}", policy
    for model in scenario.models:
        if model.policy is not None:
            yield Scope(model.name), f"models.{model.name}.policy", model.policy


def _checked(policy: PolicyConfiguration, field: str, folder: str) -> PolicySetting:
    try:
        return PolicySetting(policy.name, checked_options(policy.name, policy.options, folder))
    except InvalidInput as error:
        at_fault = field + error.field.removeprefix("policy")
        raise InvalidConfiguration(at_fault, error.problem, value=error.value, remedy=error.remedy) from error
    except NotFound as error:
        raise InvalidConfiguration(field, str(error).removeprefix("policy: "), value=policy.name) from error
