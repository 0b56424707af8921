"""What a replica shows of autoscaling, which whoever hosts it decides."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WantedReplicas"]


@dataclass(frozen=True, slots=True)
class WantedReplicas:
    """Where the number of replicas follows the work. share: of those that are wanted, what this one's work asks for.
    most: that there may be."""

    share: float
    most: int
