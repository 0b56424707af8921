"""Bandwidth of one direction over time: what a link could do on a bus, on a ferry, in a living room."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["BandwidthTrace"]


@dataclass(frozen=True, slots=True)
class BandwidthTrace:
    """`bandwidths_bps[i]` holds from `times_s[i]` until the next time. After the last one the trace starts over.

    Times start at zero and rise; the last value holds as long as the one before it did.
    """

    times_s: tuple[float, ...]
    bandwidths_bps: tuple[float, ...]

    @property
    def period_s(self) -> float:
        """How long one run through the trace takes; infinite where it has a single value."""
        if len(self.times_s) == 1:
            return math.inf
        return 2 * self.times_s[-1] - self.times_s[-2]

    def at(self, time_s: float) -> float:
        """Bits per second at `time_s` after the start."""
        return self.bandwidths_bps[bisect_right(self.times_s, self._phase_s(time_s)) - 1]

    def _phase_s(self, time_s: float) -> float:
        return time_s if math.isinf(self.period_s) else time_s % self.period_s
