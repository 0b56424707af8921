"""The policies that a configuration file names, by scope, as plain data that crosses process borders as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nodes.steering import EVERYTHING, PolicySetting, Scope

__all__ = ["LATENCY_FOR_ALL", "ConfiguredPolicies", "ScopedPolicy"]


@dataclass(frozen=True, slots=True)
class ScopedPolicy:
    """The policy of some requests."""

    scope: Scope
    policy: PolicySetting


@dataclass(frozen=True, slots=True)
class ConfiguredPolicies:
    """All of them, `EVERYTHING` among the scopes, their options checked and as plain data.

    folder: where the module of a `module:Class` is looked up besides. They come from who configures the edge, never
    from the gateway's port: that module is imported.
    """

    scoped: tuple[ScopedPolicy, ...]
    folder: str = ""

    @property
    def by_scope(self) -> Mapping[Scope, PolicySetting]:
        """As a `Steering` takes them."""
        return {one.scope: one.policy for one in self.scoped}

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ConfiguredPolicies:
        """Read what `to_json` wrote."""
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ConfiguredPolicies:
        """Of what `to_json` wrote, inside another document."""
        scoped = (ScopedPolicy(Scope(**one["scope"]), PolicySetting(**one["policy"])) for one in data["scoped"])
        return cls(tuple(scoped), data["folder"])


LATENCY_FOR_ALL = ConfiguredPolicies((ScopedPolicy(EVERYTHING, PolicySetting("latency")),))
"""Of a file that says nothing of policies."""
