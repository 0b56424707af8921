"""What a planner may choose, as a scenario says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration
from isthmus.policy_configuration import NamedPolicy
from simulations.scenario.cloud import MOST_REPLICAS
from simulations.scenario.fields import Name

__all__ = ["CapacitySection", "ReplicaRange"]

Settings = Mapping[str, Any]
"""Values of fields by path, as in a sweep: {cloud.speed: 2.0}."""


class ReplicaRange(Section):
    """The fewest that there must be, and the most that there may be."""

    least: int = Field(default=1, ge=1, le=MOST_REPLICAS)
    most: int = Field(default=64, ge=1, le=MOST_REPLICAS)

    def model_post_init(self, context: object) -> None:
        """It is not empty."""
        if self.most < self.least:
            raise InvalidConfiguration(
                "capacity.replicas.most", "is below least", value=self.most, remedy=f"set it to {self.least} or more"
            )


class CapacitySection(Section):
    """Every combination of a replica type, an edge type and a policy is considered, each with the fewest replicas that
    keep the promise. replica_types, edge_types: what each name sets in the scenario; prices have its name. Left out: as
    the scenario is. confidence: that a fleet is called good enough with."""

    replicas: ReplicaRange = ReplicaRange()
    replica_types: Mapping[Name, Settings] = Field(default_factory=dict)
    edge_types: Mapping[Name, Settings] = Field(default_factory=dict)
    policies: tuple[NamedPolicy, ...] = ()
    confidence: float = Field(default=0.95, ge=0.5, lt=1.0)
