"""Requests in bursts: something moves before a camera, and several frames are sent."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero, positive
from simulations.workload.poisson import poisson_times

__all__ = ["Bursty"]


@dataclass(frozen=True, slots=True)
class Bursty:
    """Bursts begin as a Poisson process, each with a geometric number of requests, so far from one to the next.

    rate_per_s: requests a second in the long run. burst: how many a burst has in the mean, one or more. spacing_s:
    between two of a burst; 0 brings them at once. Bursts overlap; some are under way at zero. Counts over long times
    have a variance of 2 * burst - 1 times their mean. Raises InvalidQuantity.
    """

    rate_per_s: float
    burst: float
    spacing_s: float = 0.0

    def __post_init__(self) -> None:
        positive("arrivals rate_per_s", self.rate_per_s)
        at_least_zero("arrivals spacing_s", self.spacing_s)
        if not (math.isfinite(self.burst) and self.burst >= 1.0):
            raise InvalidQuantity("arrivals burst", "must be 1 or more", value=self.burst)

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, in the long run."""
        return self.rate_per_s

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess."""
        under_way = self._begun_before(random)  # of bursts that have begun, a heap
        for begin_s in poisson_times(self.rate_per_s / self.burst, 0.0, until_s, random):
            while under_way and under_way[0] <= begin_s:
                yield heapq.heappop(under_way)
            for number in range(self._requests(random)):
                heapq.heappush(under_way, begin_s + number * self.spacing_s)
        while under_way and under_way[0] < until_s:
            yield heapq.heappop(under_way)

    def _begun_before(self, random: random.Random) -> list[float]:
        """What is still to come of bursts that began before zero, so that the beginning is like any other moment. Each
        second of the mean (burst - 1) * spacing_s that a burst goes on for finds as many under way as begin in one; the
        next request of each is anywhere within a spacing, and what follows it has no memory."""
        lasts_s, coming = (self.burst - 1.0) * self.spacing_s, list[float]()
        if lasts_s > 0.0:
            for _ in poisson_times(self.rate_per_s / self.burst, 0.0, lasts_s, random):
                next_s = random.random() * self.spacing_s
                coming += (next_s + number * self.spacing_s for number in range(self._requests(random)))
        heapq.heapify(coming)
        return coming

    def _requests(self, random: random.Random) -> int:
        """Geometric from one on, with the mean `burst`: by inversion of a uniform number in (0, 1]."""
        if self.burst == 1.0:
            return 1
        return 1 + int(math.log(1.0 - random.random()) / math.log1p(-1.0 / self.burst))
