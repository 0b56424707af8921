"""A Poisson process whose rate is switched by a Markov chain: calm for a while, then busy for a while."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero, positive
from simulations.workload.poisson import poisson_times

__all__ = ["Mmpp"]


@dataclass(frozen=True, slots=True)
class Mmpp:
    """A Markov-modulated Poisson process.

    rates_per_s: of each state; one may be zero. stays_s: the mean time in each, exponential. From a state the chain
    goes to any of the others alike, so that the share of time in a state is its share of the stays; the first state is
    drawn by these shares. Raises InvalidQuantity where the two are not as many, less than two, or all rates are zero.
    """

    rates_per_s: tuple[float, ...]
    stays_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.rates_per_s) < 2 or len(self.rates_per_s) != len(self.stays_s):
            problem = "must be two or more, a stay for each rate"
            raise InvalidQuantity("arrivals rates_per_s", problem, value=(self.rates_per_s, self.stays_s))
        for rate_per_s, stay_s in zip(self.rates_per_s, self.stays_s, strict=True):
            at_least_zero("arrivals rates_per_s", rate_per_s)
            positive("arrivals stays_s", stay_s)
        positive("arrivals rates_per_s, the largest", max(self.rates_per_s))

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, each state's rate weighted by its share of time."""
        brought = sum(rate * stay for rate, stay in zip(self.rates_per_s, self.stays_s, strict=True))
        return brought / sum(self.stays_s)

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess."""
        states = range(len(self.stays_s))
        (state,) = random.choices(states, self.stays_s)
        from_s = 0.0
        while from_s < until_s:
            end_s = from_s + random.expovariate(1 / self.stays_s[state])
            for time_s in poisson_times(self.rates_per_s[state], from_s, end_s, random):
                if time_s >= until_s:
                    return
                yield time_s
            from_s = end_s
            state = random.choice([other for other in states if other != state])
