"""The state of the world that a plan's time depends on: the link and how loaded either side is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from isthmus.errors import InvalidInput
from partitioner.link import Link
from partitioner.plain_json import STRICT

__all__ = ["Condition", "CostVector"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A link, and the factors on the compute times of either side (1.0: idle).

    Raises InvalidInput naming the load that is not above zero.
    """

    link: Link
    edge_load: float = 1.0
    cloud_load: float = 1.0

    def __post_init__(self) -> None:
        for name in ("edge_load", "cloud_load"):
            load = getattr(self, name)
            if not (math.isfinite(load) and load > 0):
                raise InvalidInput(name, "must be above zero", value=load)


@dataclass(frozen=True, slots=True)
class CostVector:
    """What one request of a plan takes on idle devices, in units that no condition changes.

    edge_s: prefix, encoding, and decoding of the outputs. cloud_s: decoding, suffix, and encoding of the outputs.
    uplink_bytes, downlink_bytes: on the wire.
    """

    __pydantic_config__ = STRICT
    edge_s: float
    uplink_bytes: float
    downlink_bytes: float
    cloud_s: float

    def latency_s(self, condition: Condition, *, crosses: bool) -> float:
        """The time under `condition`, with the round trip where something crosses."""
        return self.seconds(condition) + (condition.link.rtt_s if crosses else 0.0)

    def seconds(self, condition: Condition) -> float:
        """The time under `condition`, the round trip left out."""
        return math.fsum(
            (
                condition.edge_load * self.edge_s,
                condition.link.uplink_s(self.uplink_bytes),
                condition.link.downlink_s(self.downlink_bytes),
                condition.cloud_load * self.cloud_s,
            )
        )
