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
from partitioner.objectives import latency_stage
from scheduler.policies.corrected import Amounts
from scheduler.policies.forecast import Forecast, forecast
from scheduler.policies.options import Duration, SwitchingOptions
from scheduler.policies.selection import kept_before, least_then_quickest

__all__ = ["MOST_SPREAD", "WAIT_SPREAD", "Arrival", "SloOptions", "SloPolicy", "arrivals"]

# A wait is other requests' work, which comes and goes unseen: one standard deviation, as a share of it.
WAIT_SPREAD = 0.5
# A link that was not used for long is believed to be off by no more than a factor of e.
MOST_SPREAD = 1.0
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
        cloud_s = found.amounts.cloud_s
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
    request, amounts = found.request, found.amounts
    stage = latency_stage(found.on_link)
    up, down = _log_normal(request.uplink_spread), _log_normal(request.downlink_spread)
    later = stage._replace(uplink_bytes=stage.uplink_bytes * up.mean, downlink_bytes=stage.downlink_bytes * down.mean)
    up_square, down_square = stage.uplink_bytes**2, stage.downlink_bytes**2
    prices = [
        1.0,
        up_square * up.variance,
        up_square,
        down_square * down.variance,
        (WAIT_SPREAD * request.cloud_queue_s) ** 2,
        (WAIT_SPREAD * request.edge_queue_s) ** 2,
    ]
    variances = _with_files(amounts, request.file_bytes) if request.file_bytes else amounts.variances
    return Arrival(found.values(later), np.sqrt(variances.dot(np.array(prices))))


def _with_files(amounts: Amounts, file_bytes: int) -> NDArray[np.float64]:
    """The parts of the variances, with the request's files among the bytes on the uplink."""
    variances = amounts.variances.copy()
    square = (amounts.matrix[:, 1] + amounts.matrix[:, 6] * file_bytes) ** 2
    variances[:, 1], variances[:, 2] = square, square * amounts.length_spread**2
    return variances


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
