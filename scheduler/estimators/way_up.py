"""How long new work will wait for the way up: behind what is crossing, and as long as what is overdue has been."""

from __future__ import annotations

__all__ = ["WayUpEstimator"]

# An answer is overdue from this share and so many seconds past its prediction: predictions err.
_OVERDUE_SHARE, _OVERDUE_S = 0.25, 0.05


class WayUpEstimator:
    """Requests that were sent and are not answered. Times are readings of the caller's monotonic clock.

    A link that stopped says nothing of it; a request that should have been answered long ago does. How much longer it
    will take is unknown then, and the best guess is as long as it took already (Lindy's law: of an outage of
    heavy-tailed length, the time left grows with the time that it has lasted).
    """

    def __init__(self) -> None:
        self._due_s: dict[int, float] = {}
        self._clear_s = 0.0

    def sent(self, request_id: int, size_bytes: int, uplink_bps: float, expected_s: float, now_s: float) -> None:
        """A request left whose answer is predicted in `expected_s`; its bytes take their turn at the believed rate."""
        self._due_s[request_id] = now_s + expected_s * (1 + _OVERDUE_SHARE) + _OVERDUE_S
        self._clear_s = max(self._clear_s, now_s) + size_bytes * 8 / uplink_bps

    def finished(self, request_id: int, now_s: float) -> None:
        """It was answered, failed or was given up."""
        self._due_s.pop(request_id, None)
        if not self._due_s:
            self._clear_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Seconds that a request sent now is expected to wait before its bytes cross."""
        if not self._due_s:
            return 0.0
        return max(self._clear_s - now_s, now_s - min(self._due_s.values()), 0.0)
