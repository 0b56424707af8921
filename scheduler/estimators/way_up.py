"""How long new work will wait for the way up: behind what is crossing, and as long as what is overdue has been."""

from __future__ import annotations

from itertools import count

__all__ = ["WayUpEstimator"]

# An answer is overdue from this share and so many seconds past its prediction: predictions err.
_OVERDUE_SHARE, _OVERDUE_S = 0.25, 0.05


class WayUpEstimator:
    """Implements `nodes.queues.WayUp`, by the requests that were sent and are not answered. Times are readings of the
    caller's monotonic clock.

    A link that stopped says nothing of it; a request that should have been answered long ago does. How much longer it
    will take is unknown then, and the best guess is as long as it took already (Lindy's law: of an outage of
    heavy-tailed length, the time left grows with the time that it has lasted).
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._due_s: dict[int, float] = {}
        self._clear_s = 0.0

    def sent(self, size_bytes: int, uplink_bps: float | None, expected_s: float, now_s: float) -> int:
        """See WayUp. Its bytes take their turn at the believed rate."""
        number = next(self._numbers)
        self._due_s[number] = now_s + expected_s * (1 + _OVERDUE_SHARE) + _OVERDUE_S
        if uplink_bps:
            self._clear_s = max(self._clear_s, now_s) + size_bytes * 8 / uplink_bps
        return number

    def finished(self, number: int, now_s: float) -> None:
        """See WayUp."""
        self._due_s.pop(number, None)
        if not self._due_s:
            self._clear_s = now_s

    def wait_s(self, now_s: float) -> float:
        """See WayUp."""
        if not self._due_s:
            return 0.0
        return max(self._clear_s - now_s, now_s - min(self._due_s.values()), 0.0)
