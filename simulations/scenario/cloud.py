"""The cloud of a scenario: replicas, how they batch, scale and fail, and what edges hear of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from isthmus.autoscaling_configuration import AutoscalingConfiguration
from isthmus.configuration_fields import Section
from isthmus.errors import InvalidConfiguration
from nodes.limits import CLOUD_LIMITS
from nodes.protocol.periods import LOAD_PERIOD_S
from simulations.scenario.batching import Batching
from simulations.scenario.faults import RandomFaults, ReplicaFailures
from simulations.scenario.fields import Duration, Power

__all__ = ["MOST_REPLICAS", "CloudAutoscaling", "CloudSection", "ReplicaPower"]

MOST_REPLICAS = 100_000
LEAST_REPORT_S = 0.01
"""An edge looks back over the lifetime of a report, report by report: a million of them a second never end."""
PlanName = Annotated[str, Field(min_length=1)]


class CloudAutoscaling(AutoscalingConfiguration):
    """As in isthmus.yaml, for more replicas than one machine holds."""

    min_replicas: int = Field(default=1, ge=0, le=MOST_REPLICAS)
    max_replicas: int = Field(default=4, ge=1, le=MOST_REPLICAS)
    target_queue: Duration = Field(default=0.1, gt=0.0, le=60.0)
    scale_down_after: Duration = Field(default=60.0, ge=1.0, le=86400.0)


class ReplicaPower(Section):
    """Watts of a replica: while it computes, and for all the rest of the time that it is there."""

    busy: Power
    idle: Power = 0.0


class CloudSection(Section):
    """Replicas of one kind.

    start: from when one is asked for until it serves; those of the beginning are there. speed: of these replicas, where
    1 is what the plans were measured on. queue: requests without an answer that a replica takes, as cloud.limits.queue.
    plans: those that replicas offer, by id or kind ("split", "cloud-only"), besides what edges run alone; None: all
    that there are. report: how often an edge hears of each replica's queue, every 10 ms at most. registry: how late an
    edge hears which replicas there are. failures: a replica is gone with all that it had, and another one starts in its
    place when `for` is over. A planned one is of a replica that there is, or may be with autoscaling. power: of each of
    them.
    """

    replicas: int = Field(default=1, ge=1, le=MOST_REPLICAS)
    start: Duration = 15.0
    speed: float = Field(default=1.0, gt=0.0, le=1e6, allow_inf_nan=False)
    queue: int = Field(default=CLOUD_LIMITS.queue, ge=1)
    plans: tuple[PlanName, ...] | None = None
    batching: Batching = Batching()
    autoscaling: CloudAutoscaling | None = None
    report: Duration = Field(default=LOAD_PERIOD_S, ge=LEAST_REPORT_S)
    registry: Duration = 0.5
    failures: ReplicaFailures = ()
    power: ReplicaPower | None = None

    def model_post_init(self, context: object) -> None:
        """Either so many replicas or as many as needed, and none fails that is never there."""
        if self.autoscaling is not None and "replicas" in self.model_fields_set:
            remedy = "leave it out, or set autoscaling.min_replicas"
            raise InvalidConfiguration(
                "cloud.replicas", "is what autoscaling decides", value=self.replicas, remedy=remedy
            )
        self._check_failures()

    def _check_failures(self) -> None:
        if isinstance(self.failures, RandomFaults):
            return
        most, more = self.replicas, "cloud.replicas (capacity.replicas.least of a search)"
        if self.autoscaling is not None:
            most, more = self.autoscaling.max_replicas, "cloud.autoscaling.max_replicas"
        for place, one in enumerate(self.failures):
            if one.replica >= most:
                field, problem = f"cloud.failures.{place}.replica", f"is never there: there are {most}, numbered from 0"
                remedy = f"name one below {most}, or set {more} above {one.replica}"
                raise InvalidConfiguration(field, problem, value=one.replica, remedy=remedy)
