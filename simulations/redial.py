"""When an edge has a connection again to a replica that died: it dials by the live backoff until somebody answers."""

from __future__ import annotations

import math
from collections.abc import Callable

from nodes.backoff import Backoff

__all__ = ["CONNECT_TRIPS", "Redial"]

# The transport's handshake, Describe, and the plans, which a replica that has prepared them for others knows at once.
CONNECT_TRIPS = 3


class Redial:
    """After one loss. Nothing of it is an event: it is caught up with when the edge looks. lost_s: when the edge heard
    of the loss."""

    def __init__(self, lost_s: float, waits: Backoff) -> None:
        self.lost_s = lost_s
        self._waits = waits
        self._dials_s = lost_s + waits.next_s()
        self._connected_s = math.inf

    def connected(self, now_s: float, rtt_s: float, was_up: Callable[[float], bool]) -> bool:
        """Whether it can be asked again. was_up: whether the replica answered at a moment that is past."""
        while math.isinf(self._connected_s) and self._dials_s + rtt_s / 2 <= now_s:
            if was_up(self._dials_s + rtt_s / 2):
                self._connected_s = self._dials_s + CONNECT_TRIPS * rtt_s
            else:
                self._dials_s += rtt_s + self._waits.next_s()
        return self._connected_s <= now_s
