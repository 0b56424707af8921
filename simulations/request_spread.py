"""By how much one request differs from what its plan's costs say, as measured or as one number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from partitioner.plan_table import PlanEntry

__all__ = ["RequestFactors", "RequestSpread", "Spread"]

Spread = float | Literal["measured"]
"""One standard deviation of the logarithm for all, or what the plans say."""

# A plan's times are the 10th percentiles of repeats, and its spreads say how far the medians lie above them: of a
# log-normal time that is so many standard deviations of the logarithm.
_TENTH_PERCENTILE = 1.2815515655446004


class RequestFactors(NamedTuple):
    """Of one request by one plan: the edge's time, the message's size, the cloud's time and the time in which the edge
    finishes it, over what the plan's costs say."""

    edge: float
    size: float
    cloud: float
    finish: float


@dataclass(frozen=True, slots=True)
class RequestSpread:
    """Of one plan: standard deviations of the logarithm of the edge's time, of the message's size, of the cloud's time,
    and by how many of them a plan's times lie below the median."""

    edge: float
    size: float
    cloud: float
    below: float

    @classmethod
    def of(cls, entry: PlanEntry, spread: Spread) -> RequestSpread:
        """As measured, a plan's times are low quantiles and its sizes are means; as one number, all are means."""
        if spread != "measured":
            return cls(spread, spread, spread, 0.0)
        costs = entry.costs
        return cls(_of_share(costs.edge_spread), _of_sizes(entry), _of_share(costs.cloud_spread), _TENTH_PERCENTILE)

    def factors(self, noise: tuple[float, float, float]) -> RequestFactors:
        """Of a request. noise: standard normal draws of the edge's time, the message's size (log-normal, its mean is 1)
        and the cloud's time."""
        edge_draw, size_draw, cloud_draw = noise
        edge, cloud = self._time_factor(self.edge, edge_draw), self._time_factor(self.cloud, cloud_draw)
        # What an edge finishes it computes itself, and as slowly as it did the prefix.
        return RequestFactors(edge, _mean_one(self.size, size_draw), cloud, finish=edge)

    def _time_factor(self, deviation: float, draw: float) -> float:
        return math.exp(deviation * (draw + self.below)) if self.below else _mean_one(deviation, draw)


def _mean_one(deviation: float, draw: float) -> float:
    return math.exp(deviation * draw - deviation * deviation / 2)


def _of_share(above: float) -> float:
    """above: by what share of the 10th percentile the median lies above it."""
    return math.log1p(above) / _TENTH_PERCENTILE


def _of_sizes(entry: PlanEntry) -> float:
    """Tensors of one message differ independently of each other."""
    mean = sum(tensor.bytes for tensor in entry.plan.boundary)
    deviation = math.hypot(*(tensor.spread_bytes for tensor in entry.plan.boundary))
    return math.sqrt(math.log1p((deviation / mean) ** 2)) if mean else 0.0
