"""The share of requests of which something is true, from what was counted by windows of time.

A window with many requests says more of them than a quiet one: the share is the ratio of the sums, and not the mean of
the windows' shares. Its interval is Student's t of the linearised values share + (kept - share * came) / mean(came),
one a window, whose mean is the share (the ratio estimator: Cochran, Sampling Techniques, 3rd ed., 1977, chapter 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulations.answers.interval import CONFIDENCE, Estimate, of_values
from simulations.answers.shares import unanimous

__all__ = ["Counted", "linearised", "ratio", "summed"]


class Counted(NamedTuple):
    """Of one window: how many requests it is true of, and how many came."""

    kept: int
    came: int


def summed(windows: Sequence[Counted]) -> Counted:
    """All windows together."""
    return Counted(sum(one.kept for one in windows), sum(one.came for one in windows))


def linearised(windows: Sequence[Counted]) -> list[float]:
    """A value of each window, of which the mean is the share of all. A window without a request has none."""
    kept, came = summed(windows)
    if not came:
        return []
    busy = [one for one in windows if one.came]
    share, mean_came = kept / came, came / len(busy)
    return [share + (one.kept - share * one.came) / mean_came for one in busy]


def ratio(windows: Sequence[Counted], confidence: float = CONFIDENCE) -> Estimate | None:
    """The share with its interval; None without any request. Where all or none are so: see `unanimous`."""
    kept, came = summed(windows)
    if not came:
        return None
    if kept in (0, came):
        return unanimous(kept / came, came, confidence)
    return of_values(linearised(windows), confidence, "batches").within(0.0, 1.0)
