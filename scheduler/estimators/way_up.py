"""How long new work will wait for the way up: behind what is crossing, and as long as what is overdue has been."""

from __future__ import annotations

import math
from itertools import count
from typing import NamedTuple

__all__ = ["WayUpEstimator"]

# An answer is overdue from this share and so many seconds past its prediction: predictions err.
_OVERDUE_SHARE, _OVERDUE_S = 0.25, 0.05


class _Outstanding(NamedTuple):  # made for each request
    due_s: float
    size_bytes: int


class WayUpEstimator:
    """Implements `nodes.queues.WayUp`, by the requests that were sent and are not answered. Times are readings of the
    caller's monotonic clock.

    Bytes that were sent cross one after the other at the rate that is believed by now, which may be too low: added up,
    they would then never have crossed while anything is out. An answer shows that its request's bytes have, and what
    was given up sends no more, so that only the bytes of what is still out can be in the way. They need not cross in
    the order in which they were sent: the streams of several replicas share the link, and each mixes its messages.

    A link that stopped says nothing of it; a request that should have been answered long ago does. How much longer it
    will take is unknown then, and the best guess is as long as it took already (Lindy's law: of an outage of
    heavy-tailed length, the time left grows with the time that it has lasted).
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._outstanding: dict[int, _Outstanding] = {}
        self._outstanding_bytes = 0
        self._uplink_bps: float | None = None
        # Of what is out, so much had not crossed then.
        self._left_bytes, self._as_of_s = 0.0, 0.0

    def sent(self, size_bytes: int, uplink_bps: float | None, expected_s: float, now_s: float) -> int:
        """See WayUp. Its bytes take their turn at the believed rate."""
        number = next(self._numbers)
        due_s = now_s + expected_s * (1 + _OVERDUE_SHARE) + _OVERDUE_S
        self._outstanding[number] = _Outstanding(due_s, size_bytes)
        self._outstanding_bytes += size_bytes
        self._cross(now_s)
        if uplink_bps:
            self._uplink_bps = uplink_bps
            self._left_bytes += size_bytes
        return number

    def finished(self, number: int, now_s: float) -> None:
        """See WayUp."""
        one = self._outstanding.pop(number, None)
        if one is not None:
            self._outstanding_bytes -= one.size_bytes
            self._cross(now_s)

    def stays(self, number: int) -> None:
        """See WayUp."""
        one = self._outstanding.get(number)
        if one is not None:
            self._outstanding[number] = one._replace(due_s=math.inf)

    def crossing_s(self, now_s: float) -> float:
        """See WayUp."""
        if not self._uplink_bps:
            return 0.0
        return max(0.0, self._left_bytes * 8 / self._uplink_bps - (now_s - self._as_of_s))

    def wait_s(self, now_s: float) -> float:
        """See WayUp."""
        if not self._outstanding:
            return 0.0
        overdue_s = now_s - min(one.due_s for one in self._outstanding.values())
        return max(self.crossing_s(now_s), overdue_s)

    def _cross(self, now_s: float) -> None:
        """What has crossed until now, or need not any more, is not left."""
        if self._uplink_bps:
            left_bytes = self.crossing_s(now_s) * self._uplink_bps / 8
            self._left_bytes = min(left_bytes, self._outstanding_bytes)
        self._as_of_s = now_s
