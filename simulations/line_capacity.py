"""How many bits a recorded bandwidth carries from one moment to another, and when so many have crossed."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from itertools import accumulate

from simulations.bandwidth_trace import BandwidthTrace

__all__ = ["LineCapacity"]


class LineCapacity:
    """Of a trace that plays over and over. Many lines may share it. Moments are seconds since the trace began."""

    def __init__(self, trace: BandwidthTrace) -> None:
        self._trace = trace
        self._period_s = trace.period_s
        lengths_s = [b - a for a, b in zip(trace.times_s, (*trace.times_s[1:], self._period_s), strict=True)]
        carried = (bps * length_s for bps, length_s in zip(trace.bandwidths_bps, lengths_s, strict=True))
        # Bits that have crossed when a step of the trace begins, and after the last one.
        self._bits = array("d", [0.0, *accumulate(carried)] if math.isfinite(self._period_s) else [0.0, math.inf])

    @property
    def period_s(self) -> float:
        """See BandwidthTrace."""
        return self._period_s

    def bps(self, moment_s: float) -> float:
        """Bits per second at that moment."""
        return self._trace.at(moment_s)

    def end_s(self, bits: float, start_s: float) -> float:
        """When so many bits that start to cross then have crossed. Not before, whatever the rounding."""
        if math.isinf(self._period_s):
            return start_s + bits / self._trace.bandwidths_bps[0]
        laps, whole = divmod(start_s, self._period_s)
        laps += bits // self._bits[-1]
        left = self._carried(whole) + bits % self._bits[-1]
        if left >= self._bits[-1]:
            laps, left = laps + 1, left - self._bits[-1]
        step = bisect_right(self._bits, left) - 1
        bps = self._trace.bandwidths_bps[step]
        end_s = laps * self._period_s + self._trace.times_s[step] + (left - self._bits[step]) / bps
        return max(start_s, end_s)

    def bits(self, start_s: float, end_s: float) -> float:
        """How many cross between two moments."""
        if math.isinf(self._period_s):
            return (end_s - start_s) * self._trace.bandwidths_bps[0]
        (laps, whole), (end_laps, end_whole) = divmod(start_s, self._period_s), divmod(end_s, self._period_s)
        return (end_laps - laps) * self._bits[-1] + self._carried(end_whole) - self._carried(whole)

    def _carried(self, phase_s: float) -> float:
        step = bisect_right(self._trace.times_s, phase_s) - 1
        return self._bits[step] + (phase_s - self._trace.times_s[step]) * self._trace.bandwidths_bps[step]
