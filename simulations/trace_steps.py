"""Steps of a recording: a value holds from its time until the next one's, and after the last the recording starts over.

Times start at zero and rise; the last value holds as long as the one before it did.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["period_of", "step_at"]


def period_of(times_s: Sequence[float]) -> float:
    """How long one run through the recording takes; infinite where it has a single value."""
    if len(times_s) == 1:
        return math.inf
    return 2 * times_s[-1] - times_s[-2]


def step_at(times_s: Sequence[float], moment_s: float) -> int:
    """Whose value holds at that moment after the start."""
    period_s = period_of(times_s)
    phase_s = moment_s if math.isinf(period_s) else moment_s % period_s
    return bisect_right(times_s, phase_s) - 1
