"""Requests at a beat: frames of a camera, samples of a machine."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero, positive

__all__ = ["Steady"]


@dataclass(frozen=True, slots=True)
class Steady:
    """One request each period, late by up to `jitter_s`, evenly distributed; the first beat is anywhere in the first
    period, so that many clients do not beat as one.

    Raises InvalidQuantity where the period is not above zero or the jitter is longer than it.
    """

    period_s: float
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        positive("arrivals period_s", self.period_s)
        at_least_zero("arrivals jitter_s", self.jitter_s)
        if self.jitter_s > self.period_s:
            raise InvalidQuantity("arrivals jitter_s", "must not be longer than the period", value=self.jitter_s)

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second."""
        return 1 / self.period_s

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess."""
        phase_s = random.random() * self.period_s
        for beat in count():
            # From the beat's number and not from the beat before it: an hour of frames does not drift.
            time_s = phase_s + beat * self.period_s + random.random() * self.jitter_s
            if time_s >= until_s:
                return
            yield time_s
