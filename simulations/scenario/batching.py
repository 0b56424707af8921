"""How the nodes of a scenario batch."""

from __future__ import annotations

from pydantic import Field

from isthmus.configuration import BatchingConfiguration
from nodes.batching import DEFAULT_LIMITS, LONGEST_DELAY_S
from simulations.scenario.fields import Duration

__all__ = ["Batching"]


class Batching(BatchingConfiguration):
    """As in isthmus.yaml."""

    max_delay: Duration = Field(default=DEFAULT_LIMITS.max_delay_s, le=LONGEST_DELAY_S)
