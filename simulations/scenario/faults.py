"""Things that break for a while: at random, or at given moments."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from isthmus.configuration_fields import Section
from simulations.scenario.fields import Duration, positive

__all__ = ["Outages", "PlannedFault", "PlannedReplicaFault", "RandomFaults", "ReplicaFailures"]

_Lasting = Annotated[Duration, AfterValidator(positive)]


class _Fault(Section):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RandomFaults(_Fault):
    """Again and again, at random. every: mean time from the end of one to the next, exponential. for: how long one
    lasts in the mean, exponential."""

    every: _Lasting
    lasts: _Lasting = Field(alias="for")


class PlannedFault(_Fault):
    """Once. at: seconds after the start. for: how long it lasts."""

    at: Duration
    lasts: _Lasting = Field(alias="for")


class PlannedReplicaFault(PlannedFault):
    """Of one replica, by its number, from 0."""

    replica: int = Field(default=0, ge=0)


def _kind(value: Any) -> str:
    return "random faults" if isinstance(value, dict | RandomFaults) else "planned faults"


Outages = Annotated[
    Annotated[RandomFaults, Tag("random faults")] | Annotated[tuple[PlannedFault, ...], Tag("planned faults")],
    Discriminator(_kind),
]
"""Of a link."""
ReplicaFailures = Annotated[
    Annotated[RandomFaults, Tag("random faults")] | Annotated[tuple[PlannedReplicaFault, ...], Tag("planned faults")],
    Discriminator(_kind),
]
"""Random ones are of each replica by itself."""
