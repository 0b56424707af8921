"""Whom requests of less right have kept out lately: such requests leave room for them from then on.

What the edge has promised is not taken back, so who comes while all of it is promised to others is refused, whatever
its right; to let it wait would not help, as its own time passes as fast as theirs. The room has to be there before it
comes. It is left only for those who have missed it: kept free for anybody who might come, it would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.admission.fair_queue import Waiting

__all__ = ["CrowdedOut"]

# Clients that send a request now and then find room, and one that is gone costs nobody much for long.
_REMEMBERED_S = 60.0
# All are gone through for each request with a deadline, and clients' names come from outside.
_MOST_REMEMBERED = 64
# Sums of the same costs in another order differ by less.
_MORE = 1 + 1e-9


class CrowdedOut:
    """By priority and client. Of two requests the one of the earlier priority has more right to the edge; of the same
    priority, the one of the client that has less under way."""

    def __init__(self) -> None:
        self._last_s: dict[tuple[float, str], float] = {}  # when it was kept out, the latest last

    def add(self, request: Waiting, others: Iterable[Waiting], now_s: float) -> None:
        """It was refused because of those under way. One that has no more right than any of them is not kept in mind:
        fair as things are."""
        held_s, later = {request.client: request.cost_s}, False
        for one in others:
            later = later or one.level > request.level
            _hold(held_s, request.level, one)
        if later or max(held_s.values()) > held_s[request.client] * _MORE:
            key = request.level, request.client
            self._last_s.pop(key, None)
            self._last_s[key] = now_s
            if len(self._last_s) > _MOST_REMEMBERED:
                del self._last_s[next(iter(self._last_s))]

    def claim_room(self, request: Waiting, others: Iterable[Waiting], now_s: float) -> bool:
        """Whether any has more right than that request, whose turn it is. others: under way besides."""
        self._forget(now_s)
        if not self._last_s:
            return False
        held_s: dict[str, float] = {}
        for one in others:
            _hold(held_s, request.level, one)
        own_s = held_s.get(request.client, 0.0)
        return any(
            level < request.level or (level == request.level and held_s.get(client, 0.0) * _MORE < own_s)
            for level, client in self._last_s
        )

    def _forget(self, now_s: float) -> None:
        while self._last_s:
            oldest = next(iter(self._last_s))
            if self._last_s[oldest] > now_s - _REMEMBERED_S:
                return
            del self._last_s[oldest]


def _hold(held_s: dict[str, float], level: float, one: Waiting) -> None:
    """Add up what each client has under way of one priority."""
    if one.level == level:
        held_s[one.client] = held_s.get(one.client, 0.0) + one.cost_s
