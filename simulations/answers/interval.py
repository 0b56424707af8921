"""Confidence intervals for what a simulation says: over replications, or over batches of one long run.

Replications (the replication/deletion approach: Law, Simulation Modeling and Analysis, 5th ed., 9.5.2): each run, its
warm-up removed, gives one independent value; their mean has a Student t interval. For a quantile the value of a run is
its own sample quantile. One run alone is cut into batches in the order of arrival, long enough to be nearly independent
(batch means: Law 9.5.3; 10 to 30 batches: Schmeiser, Operations Research 30, 1982). Its interval is centred at the
value of the whole run, not at the mean of the batches' values, which is biased for quantiles (sectioning: Asmussen and
Glynn, Stochastic Simulation, 2007, III.5).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from partitioner.plain_json import STRICT

__all__ = ["CONFIDENCE", "Estimate", "Floats", "Statistic", "estimate", "mean", "of_values", "quantile", "student"]

CONFIDENCE = 0.95
_MOST_BATCHES, _LEAST_BATCHES = 20, 5
# A sample quantile with fewer values than this beyond it is little but its largest ones, and biased.
_BEYOND = 5
# Batches of fewer values than this are far from independent.
_LEAST_IN_BATCH = 10

Floats = NDArray[np.float64]
Method = Literal["replications", "batches", "exact", "none"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval. low, high: None where there is none, because there is too little to tell. n: how many
    runs, batches or (exact) requests the interval is made of."""

    __pydantic_config__ = STRICT
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: Method = "none"

    @property
    def half_width(self) -> float:
        """Infinite without an interval."""
        return math.inf if self.low is None or self.high is None else (self.high - self.low) / 2

    def within(self, least: float, most: float) -> Estimate:
        """With an interval cut off where no value can be: a share above 1, a time below 0."""
        if self.low is None or self.high is None:
            return self
        low, high = (min(max(end, least), most) for end in (self.low, self.high))
        return Estimate(self.value, low, high, self.n, self.method)

    def scaled(self, factor: float) -> Estimate:
        """In another unit. factor: above zero."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high, self.n, self.method)


@dataclass(frozen=True, slots=True)
class Statistic:
    """What of a run's values is estimated. least: how many values one run needs for it, and one batch."""

    of: Callable[[Floats], float]
    least: int


mean = Statistic(lambda values: float(np.mean(values)), 1)
"""The arithmetic mean; of zeros and ones a share."""


def quantile(share: float) -> Statistic:
    """The sample quantile: the value that `share` of all do not exceed. share: above 0, below 1."""
    beyond = math.ceil(_BEYOND / min(share, 1.0 - share) * (1 - 1e-12))
    return Statistic(lambda values: float(np.quantile(values, share, method="inverted_cdf")), beyond)


def student(n: int, confidence: float) -> float:
    """How many standard errors of the mean of n values (two at least) its interval goes to either side."""
    return float(stdtrit(n - 1, (1.0 + confidence) / 2.0))


def of_values(values: Sequence[float], confidence: float = CONFIDENCE, method: Method = "replications") -> Estimate:
    """The mean of independent values, at least one: of one there is no interval."""
    n, middle = len(values), float(np.mean(values))
    if n < 2:
        return Estimate(middle)
    half = student(n, confidence) * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Estimate(middle, middle - half, middle + half, n, method)


def _of_replications(runs: Sequence[Floats], statistic: Statistic, confidence: float) -> Estimate | None:
    """Of two runs or more. Where one of them holds too little the value is that of all runs' values together, and there
    is no interval. None where there is no value at all."""
    together = np.concatenate(runs) if runs else np.empty(0)
    if not together.size:
        return None
    if min(run.size for run in runs) < statistic.least:
        return Estimate(statistic.of(together))
    return of_values([statistic.of(run) for run in runs], confidence)


def _of_one_run(values: Floats, statistic: Statistic, confidence: float) -> Estimate | None:
    """Of one run's values in the order of arrival, by batches; None where there is no value."""
    if not values.size:
        return None
    whole = statistic.of(values)
    batches = min(_MOST_BATCHES, values.size // max(statistic.least, _LEAST_IN_BATCH))
    if batches < _LEAST_BATCHES:
        return Estimate(whole)
    length = values.size // batches
    # The first values, of which there are fewer than batches, are left out of the spread: no batch is longer.
    of_batches = np.array([statistic.of(batch) for batch in values[-batches * length :].reshape(batches, length)])
    spread = math.sqrt(float(np.sum((of_batches - whole) ** 2)) / (batches - 1) / batches)
    half = student(batches, confidence) * spread
    return Estimate(whole, whole - half, whole + half, batches, "batches")


def estimate(runs: Sequence[Floats], statistic: Statistic, confidence: float = CONFIDENCE) -> Estimate | None:
    """By replications where there are several runs, else by batches. None without any value."""
    if len(runs) == 1:
        return _of_one_run(runs[0], statistic, confidence)
    return _of_replications(runs, statistic, confidence)
