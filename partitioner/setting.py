"""Where a model runs: what every question about its plans starts from."""

from __future__ import annotations

from dataclasses import dataclass, field

from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.profiles import DeviceProfile

__all__ = ["Setting"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a model runs: two measured devices, the link between them, and what is allowed (`costing`)."""

    edge: DeviceProfile
    cloud: DeviceProfile
    link: Link
    costing: Costing = field(default_factory=Costing)
