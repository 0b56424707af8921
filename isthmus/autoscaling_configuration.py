"""How many cloud replicas there may be, as a configuration says it."""

from __future__ import annotations

from pydantic import Field

from isthmus.configuration_fields import Duration, Section
from isthmus.errors import InvalidConfiguration
from scheduler.autoscaling import AutoscalingRule

__all__ = ["MOST_REPLICAS", "AutoscalingConfiguration"]

MOST_REPLICAS = 64


class AutoscalingConfiguration(Section):
    """How many cloud replicas there are, by the work that waits for them and that edges bring.

    min_replicas: 0 for none while no edge has requests. target_queue: seconds of work that may wait at a replica.
    scale_down_after: for so long fewer must have been enough before one goes.
    """

    min_replicas: int = Field(default=1, ge=0, le=MOST_REPLICAS)
    max_replicas: int = Field(default=4, ge=1, le=MOST_REPLICAS)
    target_queue: Duration = Field(default=0.1, gt=0.0, le=60.0, allow_inf_nan=False)
    scale_down_after: Duration = Field(default=60.0, ge=1.0, le=86400.0, allow_inf_nan=False)

    def model_post_init(self, context: object) -> None:
        """The bounds are in order."""
        if self.min_replicas > self.max_replicas:
            raise InvalidConfiguration(
                "cloud.autoscaling.min_replicas",
                f"is above max_replicas, {self.max_replicas}",
                value=self.min_replicas,
                remedy="set max_replicas too",
            )

    @property
    def rule(self) -> AutoscalingRule:
        """As the scheduler takes it."""
        return AutoscalingRule(self.min_replicas, self.max_replicas, self.target_queue, self.scale_down_after)
