"""How many bits a recorded bandwidth carries from one moment to another, and when so many have crossed."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from itertools import accumulate

from simulations.bandwidth_trace import DEAD_BPS, BandwidthTrace
from simulations.trace_steps import step_at

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
        dead = [bps <= DEAD_BPS for bps in trace.bandwidths_bps]
        # A link that is as slow as that throughout is slow, not dead.
        self._has_dead_zones = any(dead) and not all(dead)

    @property
    def period_s(self) -> float:
        """See BandwidthTrace."""
        return self._period_s

    def bps(self, moment_s: float) -> float:
        """Bits per second at that moment."""
        return self._trace.at(moment_s)

    def passes_s(self, moment_s: float) -> float:
        """From when on anything gets through: that moment, or the end of the dead zone that it is in."""
        rates_bps, times_s = self._trace.bandwidths_bps, self._trace.times_s
        if not self._has_dead_zones or self._trace.at(moment_s) > DEAD_BPS:
            return moment_s
        step, lap_s = step_at(times_s, moment_s), moment_s // self._period_s * self._period_s
        while rates_bps[step] <= DEAD_BPS:
            step += 1
            if step == len(times_s):
                step, lap_s = 0, lap_s + self._period_s
        return max(moment_s, lap_s + times_s[step])

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
