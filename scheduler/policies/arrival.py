"""When the answers of all plans are expected, with the uncertainty of costs, lengths, link and queues."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.chooser import ChoiceRequest
from partitioner.objectives import Stage
from scheduler.policies.corrected import Amounts

__all__ = ["MOST_SPREAD", "WAIT_SPREAD", "Arrival", "arrivals"]

# A wait is other requests' work, which comes and goes unseen: one standard deviation, as a share of it.
WAIT_SPREAD = 0.5
# A link that was not used for long is believed to be off by no more than a factor of e.
MOST_SPREAD = 1.0
_NORMAL = NormalDist()


class Arrival(NamedTuple):
    """When the answers of all plans are expected, and one standard deviation of each, in seconds."""

    mean_s: NDArray[np.float64]
    spread_s: NDArray[np.float64]

    def by_s(self, probability: float) -> NDArray[np.float64]:
        """When each answer is there with that probability."""
        return self.mean_s + _quantile(probability) * self.spread_s

    def surest_score(self, among: Sequence[int], deadline_s: float) -> int:
        """The plan that is the likeliest to be in time: the most standard deviations before the deadline."""
        mean_s, spread_s = self.mean_s.tolist(), self.spread_s.tolist()
        return max(among, key=lambda number: _score(deadline_s - mean_s[number], spread_s[number]))

    def probability(self, number: int, deadline_s: float) -> float:
        """That the plan's answer is there by the deadline."""
        score = _score(deadline_s - float(self.mean_s[number]), float(self.spread_s[number]))
        return _NORMAL.cdf(score) if math.isfinite(score) else float(score > 0)


def arrivals(
    request: ChoiceRequest, amounts: Amounts, stage: Stage, values: Callable[[Stage], NDArray[np.float64]]
) -> Arrival:
    """A time is taken as normal: its mean and variance are those of its parts, which are independent. Each side's time
    varies as its repeats did, the message's length as the measured ones did, a wait by half of it; the time on the wire
    is log-normal, as the link's estimate says, and counts with its exact mean and variance: t e^(s^2/2) and that
    squared times (e^(s^2) - 1), for a spread s of at most 1. values: what every plan pays in a stage.
    """
    up, down = _log_normal(request.uplink_spread), _log_normal(request.downlink_spread)
    later = Stage(
        stage.edge_s, stage.uplink_bytes * up.mean, stage.downlink_bytes * down.mean, stage.cloud_s, stage.crossing
    )
    waits = (WAIT_SPREAD * request.cloud_queue_s) ** 2, (WAIT_SPREAD * request.edge_queue_s) ** 2
    prices = (1.0, 0.0, stage.downlink_bytes**2 * down.variance, 1.0, *waits, 0.0, 0.0, 0.0)
    wire_s = (amounts.matrix[:, 1] + amounts.matrix[:, 6] * request.file_bytes) * stage.uplink_bytes
    variances = amounts.variances.dot(prices) + wire_s**2 * (up.variance + amounts.length_variances)
    return Arrival(values(later), np.sqrt(variances))


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


@lru_cache(maxsize=64)  # operators state few
def _quantile(probability: float) -> float:
    """In how many standard deviations a normal time is there with that probability."""
    return _NORMAL.inv_cdf(probability)
