"""When a request that only the cloud may finish leaves a replica whose answer is late. Pure.

Being late decides where a request goes next, never that it fails: while no other replica could be asked, its best
chance is the answer that is under way. One that becomes able only then is not gone to at once. What kept the others
from being asked (an outage, a machine that stood still) mostly held this one's answer up too, and ends for all of them
in one moment; and a wait as long as the other is expected to take costs at most as much again.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LEAST_GRACE_S", "Staying"]

LEAST_GRACE_S = 0.05

# Fractions of its multiples are spread evenly over 0 to 1, however many there are (Knuth, TAOCP 3, 6.4: the golden
# ratio).
_GOLDEN = 0.6180339887498949


class Staying:
    """Of one request at one replica. Moments are readings of the caller's clock.

    stayed: whether it is late, and no other replica could be asked when that was looked at last.
    """

    def __init__(self, expected_s: float, number: int) -> None:
        """expected_s: what an answer is predicted to take. number: of the request; requests of different numbers do not
        leave in one moment, of which the first may take the only place there is."""
        self._grace_s = max(LEAST_GRACE_S, expected_s) * (1.0 + number * _GOLDEN % 1.0)
        self._able_since_s: float | None = None
        self.stayed = False

    def leaves_s(self, now_s: float, late_s: float, able: Callable[[], bool], looks_s: float) -> float:
        """The moment, as things are now. late_s: from when on it is late. able: whether another replica could be asked
        now. looks_s: when to look again while there is none, whatever else happens; that is no moment to leave."""
        if now_s < late_s:
            self._forget()
            return late_s
        if not able():
            self._forget()
            self.stayed = True
            return looks_s
        if not self.stayed:
            return late_s
        if self._able_since_s is None:
            self._able_since_s = now_s
        return self._able_since_s + self._grace_s

    def _forget(self) -> None:
        self._able_since_s, self.stayed = None, False
