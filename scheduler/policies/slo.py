"""The cheapest plan that meets the deadline as surely as was asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from random import Random
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from isthmus.units import format_duration
from nodes.chooser import Choice, ChoiceRequest
from partitioner.link import Link
from partitioner.measurements import Price
from partitioner.objectives import cost_stage
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import Duration, SwitchingOptions
from scheduler.policies.selection import kept_before, least_then_quickest

__all__ = ["MOST_SPREAD", "WAIT_SPREAD", "Arrival", "SloOptions", "SloPolicy", "arrivals"]

# A wait is other requests' work, which comes and goes unseen: one standard deviation, as a share of it.
WAIT_SPREAD = 0.5
# A link that was not used for long is believed to be off by no more than a factor of e.
MOST_SPREAD = 1.0
_CLOUD_SECONDS = cost_stage(Price(1.0, "counted, not priced"))
_NORMAL = NormalDist()


class SloOptions(SwitchingOptions):
    """probability: above 0, below 1. deadline: from the request's arrival; the sooner of both counts."""

    probability: float = Field(default=0.95, gt=0, lt=1, description="of meeting the deadline, at least")
    deadline: Duration | None = Field(default=None, gt=0, description="for every request, besides its own")


class Arrival(NamedTuple):
    """When the answers of all plans are expected, and one standard deviation of each, in seconds."""

    mean_s: NDArray[np.float64]
    spread_s: NDArray[np.float64]

    def surest_score(self, among: Sequence[int], deadline_s: float) -> int:
        """The plan that is the likeliest to be in time: the most standard deviations before the deadline."""
        mean_s, spread_s = self.mean_s.tolist(), self.spread_s.tolist()
        return max(among, key=lambda number: _score(deadline_s - mean_s[number], spread_s[number]))

    def probability(self, number: int, deadline_s: float) -> float:
        """That the plan's answer is there by the deadline."""
        score = _score(deadline_s - float(self.mean_s[number]), float(self.spread_s[number]))
        return _NORMAL.cdf(score) if math.isfinite(score) else float(score > 0)


class SloPolicy:
    """The cheapest plan that meets the deadline with the probability asked for; the likeliest where none does.

    Cheapest is the fewest cloud seconds, then the quickest. A time is taken as normal: its mean and variance are those
    of its parts, which are independent. Each side's time varies as its repeats did, the message's length as the
    measured ones did, a wait by half of it; the time on the wire is log-normal, as the link's estimate says, and counts
    with its exact mean and variance: t e^(s^2/2) and that squared times (e^(s^2) - 1), for a spread s of at most 1.
    A plan meets the deadline where mean + z spread <= deadline, z the normal quantile of the probability. Without any
    deadline the cheapest plan is taken. A switch costs its seconds of the cloud.
    """

    Options = SloOptions
    explores = True

    def __init__(self, options: SloOptions | None = None) -> None:
        options = options or SloOptions()
        self._probability, self._score = options.probability, _NORMAL.inv_cdf(options.probability)
        self._deadline_s = math.inf if options.deadline is None else options.deadline
        self._switch_cost_s = options.switch_cost

    def choose(self, request: ChoiceRequest, link: Link | None, rng: Random) -> Choice:
        """See Policy."""
        found = forecast(request, link)
        usable = found.usable()
        own_s = request.remaining_s
        deadline_s = self._deadline_s if own_s is None else min(own_s, self._deadline_s)
        cloud_s: list[float] = found.values(_CLOUD_SECONDS, waiting=0.0).tolist()
        if deadline_s == math.inf:
            return self._cheapest(found, usable, cloud_s, rng, "no deadline, ")
        arrival = arrivals(found)
        late_s = (arrival.mean_s + self._score * arrival.spread_s).tolist()
        sure = [number for number in usable if late_s[number] <= deadline_s]
        if not sure:
            best = arrival.surest_score(usable, deadline_s)
            said = partial(_said, arrival, best, deadline_s, self._probability)
            return found.choice(best, "the likeliest in time, ", said)
        return self._cheapest(found, sure, cloud_s, rng, f"in time with {self._probability:g} or more, ")

    def _cheapest(self, found: Forecast, among: Sequence[int], cloud_s: list[float], rng: Random, why: str) -> Choice:
        best = least_then_quickest(found, among, cloud_s, rng)
        chosen, kept = kept_before(found, among, cloud_s, best, self._switch_cost_s)
        return found.choice(chosen, why, kept)


def arrivals(found: Forecast) -> Arrival:
    """When each plan's answer is expected, with the uncertainty of costs, lengths, link and queues."""
    request, amounts, link = found.request, found.amounts, found.on_link
    uplink_s, downlink_s = _log_normal(request.uplink_spread), _log_normal(request.downlink_spread)
    matrix = amounts.matrix
    up_s = (matrix[:, 1] + matrix[:, 6] * request.file_bytes) * link.uplink_s(1.0)
    down_s = matrix[:, 2] * link.downlink_s(1.0)
    mean_s = np.array(found.total_s) + up_s * (uplink_s.mean - 1) + down_s * (downlink_s.mean - 1)
    edge_wait_s, cloud_wait_s = WAIT_SPREAD * request.edge_queue_s, WAIT_SPREAD * request.cloud_queue_s
    variance = (
        amounts.own_variance
        + up_s**2 * (uplink_s.variance + amounts.length_spread**2)
        + down_s**2 * downlink_s.variance
        + matrix[:, 4] * cloud_wait_s**2
        + matrix[:, 5] * edge_wait_s**2
    )
    return Arrival(mean_s, np.sqrt(variance))


class _LogNormal(NamedTuple):
    """Of exp(spread x normal): its mean and variance."""

    mean: float
    variance: float


def _log_normal(spread: float) -> _LogNormal:
    square = min(spread, MOST_SPREAD) ** 2
    return _LogNormal(math.exp(square / 2), math.exp(square) * math.expm1(square))


def _score(spare_s: float, spread_s: float) -> float:
    """Standard deviations between the expected arrival and the deadline."""
    if spread_s > 0:
        return spare_s / spread_s
    return math.inf if spare_s >= 0 else -math.inf


def _said(arrival: Arrival, number: int, deadline_s: float, asked: float) -> str:
    reached = arrival.probability(number, deadline_s)
    return f"; in time with {reached:.2g}, and no plan reaches {asked:g} within {format_duration(deadline_s)}"
