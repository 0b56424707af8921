"""Where a model runs: what every question about its plans starts from."""

from __future__ import annotations

from dataclasses import dataclass, field

from partitioner.condition import Condition
from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.profiles import DeviceProfile

__all__ = ["Setting"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a model runs: two measured devices, the link between them, and what is allowed and assumed (`costing`)."""

    edge: DeviceProfile
    cloud: DeviceProfile
    link: Link
    costing: Costing = field(default_factory=Costing)

    @property
    def condition(self) -> Condition:
        """The link and the loads."""
        return Condition(self.link, self.costing.edge_load, self.costing.cloud_load)
