"""Edges of a scenario: groups of devices that are alike, each with the live chooser and admission of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from isthmus.configuration import AdmissionConfiguration
from isthmus.configuration_fields import Section
from isthmus.policy_configuration import NamedPolicy, PolicyConfiguration
from nodes.limits import EDGE_LIMITS
from scheduler.exploration import DEFAULT_SHARE
from simulations.scenario.batching import Batching
from simulations.scenario.fields import Duration, File, Name, Power, Share

__all__ = ["MOST_EDGES", "EdgePower", "EdgeSection", "ModelSection"]

MOST_EDGES = 1_000_000


class ModelSection(Section):
    """A model that edges serve. plans: the file of its plans with their measured times, from `isthmus partition
    --plans`. policy: for its requests, as in isthmus.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]
    plans: File
    policy: NamedPolicy | None = None


class EdgePower(Section):
    """Watts of a device: while it computes, while it waits, and on top while its radio sends or receives."""

    busy: Power
    idle: Power = 0.0
    radio: Power = 0.0


class EdgeSection(Section):
    """`count` devices that are alike, each with a queue, an engine that does one thing at a time, and a chooser.

    plans: of another device type, by model, instead of the models' own. slowdown: times the plans' edge times.
    overhead: what a request takes besides its stages: the client's hop, messages, hand-overs; cloud_overhead: what one
    that goes to the cloud takes on top, on its way there. queue, admission: as in isthmus.yaml (limits.queue).
    batching: as in isthmus.yaml; prefixes run as one where the plans' file has the t(B) of theirs, and max_batch says
    besides how many requests may be on an edge's compute or before it. explore: the share of requests that may look at
    a stale uplink, as live.
    """

    name: Name
    count: int = Field(default=1, ge=1, le=MOST_EDGES)
    link: Name
    policy: NamedPolicy = PolicyConfiguration()
    request_classes: Mapping[Annotated[str, Field(min_length=1)], NamedPolicy] = Field(default_factory=dict)
    plans: Mapping[str, File] = Field(default_factory=dict)
    slowdown: float = Field(default=1.0, gt=0.0, le=1e6, allow_inf_nan=False)
    overhead: Duration = 0.0
    cloud_overhead: Duration = 0.0
    queue: int = Field(default=EDGE_LIMITS.queue, ge=1)
    batching: Batching = Batching()
    admission: AdmissionConfiguration = AdmissionConfiguration()
    explore: Share = DEFAULT_SHARE
    power: EdgePower | None = None
