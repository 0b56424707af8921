"""Users who wait for an answer before they ask again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero

__all__ = ["ClosedLoop"]


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """So many users; each thinks for an exponential time of the mean `think_s` after each answer, and before the first
    request. No ArrivalProcess: when a request comes depends on when the one before it was answered. Such load backs off
    by itself where the system is slow, so it cannot show what an open loop does to a queue.

    Raises InvalidQuantity.
    """

    users: int
    think_s: float

    def __post_init__(self) -> None:
        at_least_zero("arrivals think_s", self.think_s)
        if self.users < 1:
            raise InvalidQuantity("arrivals users", "must be 1 or more", value=self.users)

    def pause_s(self, random: random.Random) -> float:
        """How long a user thinks, this time."""
        return random.expovariate(1 / self.think_s) if self.think_s else 0.0
