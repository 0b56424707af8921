"""Whether a replica that failed is to be asked again: a circuit breaker (M. Nygard, Release It!, 2007, chapter 5).

    state      started          succeeded    failed                          time
    CLOSED     counts nothing   forgets      the k-th in a row -> OPEN       stays
    OPEN       refused          ignored      ignored                         after the wait -> HALF_OPEN
    HALF_OPEN  takes the slot   -> CLOSED    -> OPEN, for a longer wait      stays

`released` is for a request that ended without saying anything of the replica: the probe, and no request that was sent
before it, gives the slot back.
"""

from __future__ import annotations

import enum

from isthmus.errors import LocalProtocolError
from nodes.backoff import Backoff

__all__ = ["FAILURES_TO_OPEN", "FIRST_OPEN_S", "LONGEST_OPEN_S", "BreakerState", "CircuitBreaker"]

FAILURES_TO_OPEN = 3
FIRST_OPEN_S, LONGEST_OPEN_S = 0.5, 10.0


class BreakerState(enum.Enum):
    """What the breaker lets through: everything, nothing, or one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """One replica's breaker. Without a clock: every call takes the caller's monotonic time."""

    def __init__(self, failures_to_open: int = FAILURES_TO_OPEN, waits: Backoff | None = None) -> None:
        """waits: how long it stays open, longer after every probe that fails."""
        self._most = failures_to_open
        self._waits = waits or Backoff(FIRST_OPEN_S, LONGEST_OPEN_S)
        self._failures = 0
        self._open_until_s: float | None = None
        self._probe: int | None = None  # the request that has the slot

    def state(self, now_s: float) -> BreakerState:
        """The state at that moment."""
        if self._open_until_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now_s < self._open_until_s else BreakerState.HALF_OPEN

    @property
    def probe_s(self) -> float | None:
        """From when on it lets a probe through; None while it is closed."""
        return self._open_until_s

    def allows(self, now_s: float) -> bool:
        """Whether a request may start now."""
        state = self.state(now_s)
        return state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and self._probe is None)

    def started(self, number: int, now_s: float) -> None:
        """That request was sent. Raises LocalProtocolError where `allows` says no."""
        if not self.allows(now_s):
            raise LocalProtocolError(f"the breaker is {self.state(now_s).value} and lets no request through")
        self._probe = number if self.state(now_s) is BreakerState.HALF_OPEN else None

    def succeeded(self, now_s: float) -> None:
        """The replica answered."""
        if self.state(now_s) is BreakerState.OPEN:
            return
        self._failures, self._open_until_s, self._probe = 0, None, None
        self._waits.succeeded()

    def failed(self, now_s: float) -> None:
        """The replica died, stalled, or could not compute."""
        state = self.state(now_s)
        if state is BreakerState.OPEN:
            return
        self._failures += 1
        if state is BreakerState.HALF_OPEN or self._failures >= self._most:
            self._failures, self._probe = 0, None
            self._open_until_s = now_s + self._waits.next_s()

    def released(self, number: int) -> None:
        """That request ended, and says nothing of the replica, or nothing yet."""
        if number == self._probe:
            self._probe = None
