"""How long a frame was under way beyond the usual, from durations that each side measures on its own clock.

A process that is stopped, or a link that stalls, delivers frames long after they were sent; a deadline counted from
their arrival would let work begin that is long expired. The edge says how long after its hello it made a frame; the
cloud knows how long after the hello the frame arrived. The difference is constant but for delay, so what exceeds the
least difference seen is delay (the base delay of LEDBAT, RFC 6817, section 3.4.2). The least is kept for two windows:
clocks drift, and one that stood still (of a machine that was snapshotted) makes all frames seem late from then on.
"""

from __future__ import annotations

__all__ = ["TransitClock"]

WINDOW_S = 10.0
"""Until the least has aged out, what has less time left than a clock stood still is refused as expired. Not shorter, as
whatever holds frames up shall count as delay: a link that stood still for minutes delivers fresh frames right after the
old ones (echoes are made twice a second), and a window of bytes stands on a way for a few seconds at most."""


class TransitClock:
    """One stream's base delay. Times are readings of this side's monotonic clock."""

    def __init__(self, hello_s: float, window_s: float = WINDOW_S) -> None:
        """hello_s: when the hello arrived."""
        self._hello_s = hello_s
        self._window_s = window_s
        self._window_ends_s = hello_s + window_s
        self._least_before_s, self._least_s = 0.0, 0.0

    def delay_s(self, sent_after_s: float, now_s: float) -> float:
        """What a frame that arrives now, sent so long after the hello, was delayed beyond the least; never negative."""
        difference_s = now_s - self._hello_s - sent_after_s
        if now_s >= self._window_ends_s:
            self._least_before_s, self._least_s = self._least_s, difference_s
            self._window_ends_s = now_s + self._window_s
        self._least_s = min(self._least_s, difference_s)
        return max(0.0, difference_s - min(self._least_s, self._least_before_s))
