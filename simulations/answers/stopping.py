"""When to stop simulating more: the answer is precise enough, or on one side of a goal.

Looking at an interval again and again until it says something makes it say so too often. `precise` follows Law's
sequential procedure for a relative error (Simulation Modeling and Analysis, 5th ed., 9.4.1): at least ten runs, and the
half width against an error that is adjusted for dividing by the estimate. `side_of` divides what may go wrong among all
the looks that there will be at most (Bonferroni): whenever it stops, it errs with at most 1 - confidence.

Windows that are all alike have no spread, and their interval no width, however few requests they saw. So the interval
that a look goes by (`looked_at`) is no narrower than the exact one of as many independent requests (Clopper and
Pearson, Biometrika 26, 1934): of requests that all kept a promise of `goal` there must be log(error) / log(goal), the
rule of three for any error (Hanley and Lippman-Hand, JAMA 249, 1983).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from scipy.special import betaincinv

from isthmus.errors import InvalidQuantity
from simulations.answers.interval import CONFIDENCE, Estimate
from simulations.answers.ratio import Counted, ratio, summed

__all__ = ["LEAST_RUNS", "looked_at", "precise", "side_of"]

LEAST_RUNS = 10
Side = Literal["above", "below", "open"]


def precise(found: Estimate, relative_error: float) -> bool:
    """Whether the value is known to that share of itself, at the confidence of its interval: 0.05 for 5 %.

    Never before LEAST_RUNS values: with fewer the interval is often narrow by chance. Raises InvalidQuantity where the
    error is not between 0 and 1.
    """
    if not 0.0 < relative_error < 1.0:
        raise InvalidQuantity("relative error", "must be between 0 and 1", value=relative_error)
    adjusted = relative_error / (1.0 + relative_error)
    return found.n >= LEAST_RUNS and found.half_width <= adjusted * abs(found.value)


def looked_at(windows: Sequence[Counted], looks: int, confidence: float = CONFIDENCE) -> Estimate | None:
    """The share of requests, with the interval that each of so many looks goes by: either of its ends is wrong with at
    most (1 - confidence) / looks. None without any request; no interval with fewer than two windows that have some.
    Raises InvalidQuantity without a look."""
    if looks < 1:
        raise InvalidQuantity("looks", "must be 1 or more", value=looks)
    kept, came = summed(windows)
    error = (1.0 - confidence) / looks
    # One side only can be the wrong one: the interval may leave twice as much outside.
    found = ratio(windows, 1.0 - 2.0 * error)
    if found is None or found.low is None or found.high is None:
        return found
    if sum(one.came > 0 for one in windows) < 2:
        return Estimate(found.value)
    low = min(found.low, float(betaincinv(kept, came - kept + 1, error)) if kept else 0.0)
    high = max(found.high, float(betaincinv(kept + 1, came - kept, 1.0 - error)) if kept < came else 1.0)
    return Estimate(found.value, low, high, found.n, found.method)


def side_of(
    goal: float, windows: Sequence[Counted], looks: int, confidence: float = CONFIDENCE, *, last: bool = False
) -> Side:
    """Whether the share of requests lies above or below the goal, or whether more windows must tell: above or below is
    where the interval of `looked_at` is clear of it.

    looks: how often this is asked at most, with ever more windows; last: this is the last time. Below a goal of 1 is
    what one request breaks; that none ever will no number of them shows, so that only the last look takes it for above.
    """
    found = looked_at(windows, looks, confidence)
    if found is None:
        return "open"
    if goal == 1.0:
        kept, came = summed(windows)
        return "below" if kept < came else "above" if last else "open"
    if found.low is None or found.high is None:
        return "open"
    return "above" if found.low > goal else "below" if found.high < goal else "open"
