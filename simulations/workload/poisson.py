"""Requests of many independent users: each comes whenever it likes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from simulations.workload.arrival_process import positive

__all__ = ["Poisson", "poisson_times"]


@dataclass(frozen=True, slots=True)
class Poisson:
    """Gaps are exponential and independent. Raises InvalidQuantity where the rate is not above zero."""

    rate_per_s: float

    def __post_init__(self) -> None:
        positive("arrivals rate_per_s", self.rate_per_s)

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second."""
        return self.rate_per_s

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess."""
        return poisson_times(self.rate_per_s, 0.0, until_s, random)


def poisson_times(rate_per_s: float, from_s: float, until_s: float, random: random.Random) -> Iterator[float]:
    """A Poisson process between two moments. A rate of zero has no arrival."""
    if rate_per_s == 0.0:
        return
    time_s = from_s + random.expovariate(rate_per_s)
    while time_s < until_s:
        yield time_s
        time_s += random.expovariate(rate_per_s)
