"""Requests that follow the day: a rate that swings about its mean."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero, positive
from simulations.workload.poisson import poisson_times

__all__ = ["Diurnal"]

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Diurnal:
    """A Poisson process of rate `rate_per_s * (1 + swing * cos(2 pi (t - peak_s) / period_s))`.

    rate_per_s: the mean over a period. swing: from 0, no day at all, to 1, nothing at night. peak_s: when the first
    peak is. By thinning (Lewis and Shedler 1979): candidates come at the peak's rate, each is kept with the share that
    the rate at its moment has of it. Raises InvalidQuantity.
    """

    rate_per_s: float
    swing: float = 0.8
    period_s: float = _DAY_S
    peak_s: float = 0.0

    def __post_init__(self) -> None:
        positive("arrivals rate_per_s", self.rate_per_s)
        positive("arrivals period_s", self.period_s)
        at_least_zero("arrivals peak_s", self.peak_s)
        if not 0.0 <= self.swing <= 1.0:
            raise InvalidQuantity("arrivals swing", "must be from 0 to 1", value=self.swing)

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, over whole periods."""
        return self.rate_per_s

    def rate_at(self, time_s: float) -> float:
        """Requests a second at that moment."""
        return self.rate_per_s * (1 + self.swing * math.cos(2 * math.pi * (time_s - self.peak_s) / self.period_s))

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess."""
        peak_per_s = self.rate_per_s * (1 + self.swing)
        for time_s in poisson_times(peak_per_s, 0.0, until_s, random):
            if random.random() * peak_per_s < self.rate_at(time_s):
                yield time_s
