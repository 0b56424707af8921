"""The policies of a configuration, checked: what an edge gets of them, or the key at fault."""

from __future__ import annotations

from pathlib import Path

from isthmus.configuration import Configuration
from isthmus.errors import InvalidConfiguration, InvalidInput, NotFound
from isthmus.policy_configuration import PolicyConfiguration
from nodes.configured_policies import ConfiguredPolicies, ScopedPolicy
from nodes.steering import EVERYTHING, PolicySetting, Scope
from scheduler.policies.factory import checked_options

__all__ = ["checked_policies"]

_FIELD = "policy"
"""What the policies call where they stand."""


def checked_policies(configuration: Configuration, folder: Path) -> ConfiguredPolicies:
    """All of them as plain data: files that options name are read, a `module:Class` is imported.

    folder: where the configuration lies. Raises NotFound for an unknown policy, InvalidInput for options that it does
    not take, both naming the key in the file.
    """
    place = str(folder.resolve())
    written = [(EVERYTHING, _FIELD, configuration.policy)]
    written += [
        (Scope("", name), f"request_classes.{name}", one) for name, one in configuration.request_classes.items()
    ]
    written += [
        (Scope(one.name), f"models.{one.name}.policy", one.policy) for one in configuration.models if one.policy
    ]
    scoped = (ScopedPolicy(scope, _checked(policy, field, place)) for scope, field, policy in written)
    return ConfiguredPolicies(tuple(scoped), place)


def _checked(policy: PolicyConfiguration, field: str, folder: str) -> PolicySetting:
    try:
        return PolicySetting(policy.name, checked_options(policy.name, policy.options, folder))
    except InvalidInput as error:
        if field == _FIELD:
            raise
        key, dot, option = error.field.partition(".")
        at_fault = field + dot + option if key == _FIELD else f"{field}: {error.field}"
        raise InvalidConfiguration(at_fault, error.problem, value=error.value, remedy=error.remedy) from error
    except NotFound as error:
        raise NotFound(field + str(error).removeprefix(_FIELD)) from error
