"""Statistics of requests with error bars that resample blocks of time: neighbours share a queue and a link.

The blocks do not overlap and have one length (Carlstein 1986); each request belongs to the block in which it came. Two
runs of the same requests are resampled together, so that the difference between them is surer than either. A few blocks
say nothing of chance, and one says that there is none: below five with a value there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulations.answers.interval import quantile

__all__ = ["LEAST_BLOCKS", "P50", "P99", "Blocks", "Interval", "Statistic", "mean"]

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Statistic:
    """of: values in rising order, and how often each counts. least: values that it needs to tell of chance: with fewer
    than five beyond it a quantile is little but its largest ones, as in `answers.interval`."""

    of: Callable[[Floats, Counts], float]
    least: int = 1


RESAMPLES = 500
_MOST_BLOCKS = 60
LEAST_BLOCKS = 5


def _mean(values: Floats, counts: Counts) -> float:
    return float(values @ counts / counts.sum())


def _quantile(share: float, values: Floats, counts: Counts) -> float:
    """The least value that so large a share is not above."""
    reached = np.cumsum(counts)
    return float(values[np.searchsorted(reached, share * reached[-1])])


mean = Statistic(_mean)
P50 = Statistic(partial(_quantile, 0.5), quantile(0.5).least)
P99 = Statistic(partial(_quantile, 0.99), quantile(0.99).least)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % interval. low, high: None where there is none, because there is too little to tell."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Which block each request is in, and how often each block is in each resample; `of` makes them."""

    block: Counts
    drawn: Counts

    @classmethod
    def of(cls, came_s: Sequence[float], least_s: float, seed: int) -> Blocks:
        """came_s: of every request. least_s: blocks are no shorter, so that few requests reach into the next one."""
        moments = np.asarray(came_s, np.float64)
        length_s = max(float(np.ptp(moments)) / _MOST_BLOCKS, least_s, 1e-9)
        _, block = np.unique((moments - moments.min()) // length_s, return_inverse=True)
        number = int(block.max()) + 1
        drawn = np.random.default_rng(seed).integers(0, number, (RESAMPLES, number))
        return cls(block, np.stack([np.bincount(row, minlength=number) for row in drawn]))

    @property
    def number(self) -> int:
        """How many blocks."""
        return int(self.drawn.shape[1])

    def interval(self, values: Floats, statistic: Statistic) -> Interval:
        """Of the requests' values, one each; nan is none."""
        whole = self._once(values, statistic)
        if not self._tells(values, statistic):
            return Interval(whole)
        return _interval(whole, self._resampled(values, statistic))

    def change(self, values: Floats, others: Floats, statistic: Statistic) -> Interval:
        """How far the statistic of `values` is above that of `others`, as a share of it."""
        whole = self._once(values, statistic) / self._once(others, statistic) - 1
        if not all(self._tells(one, statistic) for one in (values, others)):
            return Interval(whole)
        return _interval(whole, self._resampled(values, statistic) / self._resampled(others, statistic) - 1)

    def _tells(self, values: Floats, statistic: Statistic) -> bool:
        """Whether there are blocks and values enough for an interval."""
        known = ~np.isnan(values)
        return int(known.sum()) >= statistic.least and len(np.unique(self.block[known])) >= LEAST_BLOCKS

    def _once(self, values: Floats, statistic: Statistic) -> float:
        known = np.sort(values[~np.isnan(values)])
        return statistic.of(known, np.ones(len(known), np.int64)) if len(known) else float("nan")

    def _resampled(self, values: Floats, statistic: Statistic) -> Floats:
        order = np.argsort(values)[: int((~np.isnan(values)).sum())]  # nan comes last
        ordered, block = values[order], self.block[order]
        counts = (drawn[block] for drawn in self.drawn)
        return np.array([statistic.of(ordered, one) if one.any() else np.nan for one in counts])


def _interval(value: float, resampled: Floats) -> Interval:
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    return Interval(value, float(low), float(high))
