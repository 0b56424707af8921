"""A serial line whose rate follows a recording, and that may be out now and then: when bytes that start to cross at a
moment have crossed."""

from __future__ import annotations

from nodes.protocol.path_model import LEAST_WINDOW_BYTES
from simulations.bandwidth_trace import BandwidthTrace
from simulations.faults import Absences
from simulations.line_capacity import LineCapacity
from simulations.markov_line import MarkovLine

__all__ = ["TracedLine"]


class TracedLine:
    """Messages cross one after the other, in the order in which they come, whoever sends them. Times are simulated
    seconds."""

    def __init__(
        self,
        trace: BandwidthTrace | LineCapacity | MarkovLine,
        start_s: float = 0.0,
        outages: Absences | None = None,
    ) -> None:
        """trace: prepared, where many lines share it. start_s: where in the trace the simulation begins. outages: while
        one lasts nothing crosses, and the trace goes on."""
        self._capacity = LineCapacity(trace) if isinstance(trace, BandwidthTrace) else trace
        self._start_s, self._outages = start_s, outages
        self.free_s = 0.0
        self._unused: dict[float, float] = {}  # until when, since when: before messages that still cross

    def carry(self, size_bytes: float, now_s: float) -> tuple[float, float]:
        """When a message that comes now begins to cross, and when it has crossed; the line is busy until then."""
        began_s = max(now_s, self.free_s)
        self.free_s = self.end_s(size_bytes, began_s)
        return began_s, self.free_s

    def stop(self, began_s: float, end_s: float, now_s: float) -> float:
        """The message that was to cross between the two moments is taken back, as far as it is not under way: until
        when it crosses; `began_s` where nothing of it does. The line is free from then on, unless others wait behind
        it: their times stay as they are, and what it would have used goes unused for as long as any of them is left."""
        until_s = began_s
        if began_s < now_s:
            # So much of it is under way at least.
            until_s = min(end_s, self.end_s(LEAST_WINDOW_BYTES, now_s))
        if until_s == end_s:
            return end_s
        self._unused = {until: since for until, since in self._unused.items() if until >= now_s}
        if end_s < self.free_s:
            self._unused[end_s] = until_s
            return until_s
        self.free_s = until_s
        while self.free_s in self._unused:
            self.free_s = self._unused.pop(self.free_s)
        return until_s

    def wait_s(self, now_s: float) -> float:
        """Until what crosses and waits has crossed."""
        return max(0.0, self.free_s - now_s)

    def bps(self, now_s: float) -> float:
        """Bits per second that it carries now; none during an outage."""
        return 0.0 if self._outlasted_s(now_s) > now_s else self._capacity.bps(now_s + self._start_s)

    def passes_s(self, now_s: float) -> float:
        """When something too small to take time gets through: now, or when the outage is over, or the part of the
        recording in which the link was dead."""
        while True:
            there_s = self._outlasted_s(now_s)
            passes_s = self._capacity.passes_s(there_s + self._start_s)
            now_s = passes_s - self._start_s
            if passes_s == there_s + self._start_s or now_s <= there_s:
                return there_s

    def _outlasted_s(self, now_s: float) -> float:
        """Now, or when the outage is over."""
        outage = None if self._outages is None else self._outages.next(now_s)
        return now_s if outage is None or now_s < outage.at_s else outage.until_s

    def carried_bytes(self, start_s: float, end_s: float) -> float:
        """How many cross between two moments in which there is always something to carry."""
        bits, offset_s = 0.0, self._start_s
        while start_s < end_s:
            outage = None if self._outages is None else self._outages.next(start_s)
            until_s = end_s if outage is None else min(end_s, max(start_s, outage.at_s))
            bits += self._capacity.bits(start_s + offset_s, until_s + offset_s)
            start_s = end_s if outage is None else max(until_s, outage.until_s)
        return bits / 8

    def end_s(self, size_bytes: float, start_s: float) -> float:
        """When `size_bytes` that start to cross at `start_s`, alone, have crossed."""
        bits, offset_s = size_bytes * 8.0, self._start_s
        if self._outages is None:
            return self._capacity.end_s(bits, start_s + offset_s) - offset_s
        while True:
            start_s = self._outlasted_s(start_s)
            end_s = self._capacity.end_s(bits, start_s + offset_s) - offset_s
            outage = self._outages.next(start_s)
            if outage is None or end_s <= outage.at_s:
                return end_s
            bits = max(0.0, bits - self._capacity.bits(start_s + offset_s, outage.at_s + offset_s))
            start_s = outage.until_s
