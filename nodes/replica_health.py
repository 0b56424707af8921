"""Whether an edge asks a replica: its circuit breaker, and whether it has said anything since it left a request without
an answer. Pure, for edges and simulator.
"""

from __future__ import annotations

from typing import NamedTuple

from nodes.backoff import Backoff
from nodes.circuit_breaker import BreakerState, CircuitBreaker

__all__ = ["FIRST_RETRY_S", "LONGEST_RETRY_S", "LONGEST_WANTED_S", "Redial", "ReplicaHealth", "reconnecting", "redial"]

# The first wait already spreads all edges of a replica that died over most of a second.
FIRST_RETRY_S = 0.8
LONGEST_RETRY_S = 10.0
LONGEST_WANTED_S = 2.0
"""The longest wait where requests wait for a replica: who has clients waiting dials about once a second in vain, and
2,000 such edges are still spread over all of it."""


class Redial(NamedTuple):
    """When an edge dials a replica, counted from when it heard of it, lost it or dialled it in vain. wanted_s: where
    requests wait for a replica by then."""

    wait_s: float
    wanted_s: float


def reconnecting() -> Backoff:
    """How long an edge waits before it dials a replica again, or one that it and all others have just heard of."""
    return Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)


def redial(waits: Backoff) -> Redial:
    """After one more time in vain. Both are one draw: the sooner of two would be drawn from less of its range."""
    longest_s, wait_s = waits.longest_s, waits.next_s()
    return Redial(wait_s, wait_s * min(1.0, LONGEST_WANTED_S / longest_s))


class ReplicaHealth:
    """Of one connection; the breaker outlives it. Moments are readings of the caller's clock. heard_s: when the replica
    last said anything, an echo too."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._silent_since_s = -1.0

    def allows(self, heard_s: float, now_s: float) -> bool:
        """Whether a request may be sent. A replica that left one without an answer and has said nothing since is not
        asked again: whatever it says shows that it lives."""
        return heard_s > self._silent_since_s and self._breaker.allows(now_s)

    def is_good(self, heard_s: float, now_s: float) -> bool:
        """Whether a request may be sent, and not as a probe of a replica that failed lately."""
        return self.allows(heard_s, now_s) and self._breaker.state(now_s) is BreakerState.CLOSED

    @property
    def probe_s(self) -> float | None:
        """From when on it may be tried after failures, unless it is silent; None where it has not failed lately."""
        return self._breaker.probe_s

    def started(self, number: int, now_s: float) -> None:
        """That request was sent. Raises LocalProtocolError where the breaker lets none through."""
        self._breaker.started(number, now_s)

    def succeeded(self, now_s: float) -> None:
        """It was answered."""
        self._breaker.succeeded(now_s)

    def failed(self, now_s: float) -> None:
        """The replica died, or could not compute."""
        self._breaker.failed(now_s)

    def released(self, number: int) -> None:
        """That request ended by its client's will, or for a reason of its own."""
        self._breaker.released(number)

    def gave_up(self, sent_s: float, heard_s: float, now_s: float, *, late: bool) -> None:
        """A request sent then got no answer. late: it was due long ago; else its deadline alone was the reason, and
        the replica is to blame only where it has said nothing at all since."""
        if late or heard_s < sent_s:
            self._silent_since_s = now_s
            self._breaker.failed(now_s)

    def outrun(self, sent_s: float, heard_s: float, now_s: float) -> None:
        """Another replica answered a request that this one got first, then. That is no failure; but where it has said
        nothing at all since, it is not asked again before it says something."""
        if heard_s < sent_s:
            self._silent_since_s = now_s
