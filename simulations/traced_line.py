"""A serial line whose rate follows a recording: when bytes that start to cross at a moment have crossed."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

from simulations.bandwidth_trace import BandwidthTrace

__all__ = ["TracedLine"]

# Of a message that is taken back this much is under way already: the least window of a stream.
_BUFFERED_BYTES = 16 << 10


class TracedLine:
    """Messages cross one after the other, in the order in which they come. Times are seconds since the trace began."""

    def __init__(self, trace: BandwidthTrace) -> None:
        self._trace = trace
        self._period_s = trace.period_s
        lengths_s = [b - a for a, b in zip(trace.times_s, (*trace.times_s[1:], self._period_s), strict=True)]
        carried = (bps * length_s for bps, length_s in zip(trace.bandwidths_bps, lengths_s, strict=True))
        # Bits that have crossed when a step of the trace begins, and after the last one.
        self._bits = [0.0, *accumulate(carried)] if math.isfinite(self._period_s) else [0.0, math.inf]
        self.free_s = 0.0

    def carry(self, size_bytes: float, now_s: float) -> tuple[float, float]:
        """When a message that comes now begins to cross, and when it has crossed; the line is busy until then."""
        began_s = max(now_s, self.free_s)
        self.free_s = self.end_s(size_bytes, began_s)
        return began_s, self.free_s

    def stop(self, end_s: float, now_s: float) -> None:
        """The message that was to have crossed at `end_s` is taken back, as far as it is not under way. Where others
        wait behind it their times stay as they are."""
        if end_s == self.free_s:
            self.free_s = max(now_s, min(end_s, self.end_s(_BUFFERED_BYTES, now_s)))

    def end_s(self, size_bytes: float, start_s: float) -> float:
        """When `size_bytes` that start to cross at `start_s`, alone, have crossed."""
        bits = size_bytes * 8.0
        if math.isinf(self._period_s):
            return start_s + bits / self._trace.bandwidths_bps[0]
        laps, whole = divmod(start_s, self._period_s)
        laps += bits // self._bits[-1]
        left = self._carried(whole) + bits % self._bits[-1]
        if left >= self._bits[-1]:
            laps, left = laps + 1, left - self._bits[-1]
        step = bisect_right(self._bits, left) - 1
        bps = self._trace.bandwidths_bps[step]
        return laps * self._period_s + self._trace.times_s[step] + (left - self._bits[step]) / bps

    def _carried(self, phase_s: float) -> float:
        step = bisect_right(self._trace.times_s, phase_s) - 1
        return self._bits[step] + (phase_s - self._trace.times_s[step]) * self._trace.bandwidths_bps[step]
