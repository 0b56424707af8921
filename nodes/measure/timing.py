"""How long a call takes: repeated within a budget, judged by a low quantile, with its spread.

The 10th percentile of repeats is stable to 1 % on a quiet machine and hardly moves under other load, where medians
are off by 5-16 %.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from partitioner.measurements import Measurement

__all__ = ["NOISY_SPREAD", "is_noisy", "measure", "measure_interleaved", "percentile", "pooled", "summary"]

NOISY_SPREAD = 0.25
"""A measurement whose median lies further above its 10th percentile than this share of it is called noisy."""

_NOISE_FLOOR_S = 20e-6  # what a clock reading and a scheduler tick cost: no sign of another load


def measure(
    thunk: Callable[[], object],
    *,
    budget_s: float = 0.2,
    min_repeats: int = 5,
    max_repeats: int = 200,
    warm_ups: int = 1,
) -> Measurement:
    """The 10th percentile of repeated calls, for about `budget_s` seconds, `min_repeats` at least.

    The first `warm_ups` calls are thrown away. Runs on the calling thread, under its thread budget.
    """
    for _ in range(warm_ups):
        thunk()
    times: list[float] = []
    started = now = time.perf_counter()
    while len(times) < min_repeats or (now - started < budget_s and len(times) < max_repeats):
        before = time.perf_counter()
        thunk()
        now = time.perf_counter()
        times.append(now - before)
    return summary(times)


def measure_interleaved(
    thunks: Sequence[Callable[[], object]],
    *,
    budget_s: float,
    min_rounds: int = 5,
    max_rounds: int = 100,
    seed: int = 0,
) -> tuple[Measurement, ...]:
    """One measurement a thunk, in rounds that call each of them once, in a new random order each round.

    What slows the machine for a while then slows all of them alike, so that they can be compared. The first round
    warms up and is thrown away.
    """
    order, taken = random.Random(seed), [list[float]() for _ in thunks]
    started = time.perf_counter()
    for number in range(max_rounds + 1):
        for which in order.sample(range(len(thunks)), len(thunks)):
            before = time.perf_counter()
            thunks[which]()
            if number > 0:
                taken[which].append(time.perf_counter() - before)
        if number >= min_rounds and time.perf_counter() - started > budget_s:
            break
    return tuple(summary(times) for times in taken)


def summary(times: Sequence[float]) -> Measurement:
    """What `times` (seconds, at least one) say."""
    low = percentile(times, 0.1)
    return Measurement(low, percentile(times, 0.5) - low, len(times))


def pooled(passes: Sequence[Measurement]) -> Measurement:
    """One measurement out of several passes (one at least), taken at different moments: the median of their times.

    Its spread is how far the passes lie apart, which says more of whether a difference is real than the repeats of one
    moment do.
    """
    times = [one.seconds for one in passes]
    return Measurement(percentile(times, 0.5), max(times) - min(times), sum(one.repeats for one in passes))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` lie at or below, nearest rank: always one of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def is_noisy(measurement: Measurement) -> bool:
    """Whether repeats disagreed so much that something else must have been running."""
    return measurement.spread_s > NOISY_SPREAD * measurement.seconds + _NOISE_FLOOR_S
