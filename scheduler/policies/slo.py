"""The cheapest plan that meets the deadline as surely as was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from random import Random

from pydantic import Field

from isthmus.units import format_duration
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from scheduler.policies.arrival import Arrival
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import Duration, SwitchingOptions
from scheduler.policies.selection import kept_before, least_then_quickest, runs_alone

__all__ = ["SloOptions", "SloPolicy"]


class SloOptions(SwitchingOptions):
    """probability: above 0, below 1. deadline: from the request's arrival; the sooner of both counts."""

    probability: float = Field(default=0.95, gt=0, lt=1, description="of meeting the deadline, at least")
    deadline: Duration | None = Field(default=None, gt=0, description="for every request, besides its own")


class SloPolicy:
    """The cheapest plan that meets the deadline with the probability asked for; the likeliest where none does.

    Cheapest is the fewest cloud seconds, then the quickest. What a plan's time is expected to be, and how surely, is
    `arrival.arrivals`; it meets the deadline where mean + z spread <= deadline, z the normal quantile of the
    probability. Without any deadline the cheapest plan is taken. A switch costs its seconds of the cloud. Its own
    deadline is the request's: what cannot end by it is refused, and nothing goes on after it.
    """

    Options = SloOptions
    explores = True

    def __init__(self, options: SloOptions | None = None) -> None:
        options = options or SloOptions()
        self._probability = options.probability
        self.timeout_s = options.deadline
        self._deadline_s = math.inf if options.deadline is None else options.deadline
        self._switch_cost_s = options.switch_cost

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable = found.usable()
        own_s, ours_s = request.remaining_s, max(0.0, self._deadline_s - request.waited_s)
        deadline_s = ours_s if own_s is None else min(own_s, ours_s)
        cloud_s = found.amounts.cloud_s
        if deadline_s == math.inf:
            return self._cheapest(found, usable, cloud_s, rng, "no deadline, ")
        arrival = found.arrival
        late_s = arrival.by_s(self._probability).tolist()
        sure = [number for number in usable if late_s[number] <= deadline_s]
        if not sure:
            best = arrival.surest_score(usable, deadline_s)
            said = partial(_said, arrival, best, deadline_s, self._probability)
            return found.choice(best, "the likeliest in time, ", said)
        return self._cheapest(found, sure, cloud_s, rng, f"in time with {self._probability:g} or more, ")

    def may_cross(self, request: ChoiceRequest) -> bool:
        """See Policy."""
        has_deadline = request.remaining_s is not None or self._deadline_s < math.inf
        return has_deadline or not runs_alone(request)

    def _cheapest(self, found: Forecast, among: Sequence[int], cloud_s: list[float], rng: Random, why: str) -> Choice:
        best = least_then_quickest(found, among, cloud_s, rng)
        chosen, kept = kept_before(found, among, cloud_s, best, self._switch_cost_s)
        return found.choice(chosen, why, kept)


def _said(arrival: Arrival, number: int, deadline_s: float, asked: float) -> str:
    reached = arrival.probability(number, deadline_s)
    return f"; in time with {reached:.2g}, and no plan reaches {asked:g} within {format_duration(deadline_s)}"
