"""How many requests a second need an edge's worker lately: who waits behind a slow one."""

from __future__ import annotations

import math

__all__ = ["RequestRate"]

# Long enough to tell a rate by a few requests, short enough to follow a burst.
_MEMORY_S = 10.0


class RequestRate:
    """Requests counted with a weight that falls by e in ten seconds. A clock that was set back adds none."""

    def __init__(self) -> None:
        self._count, self._last_s = 0.0, 0.0

    def seen(self, now_s: float) -> None:
        """One more request."""
        self._count = 1.0 + _MEMORY_S * self.per_s(now_s)
        self._last_s = max(self._last_s, now_s)

    def per_s(self, now_s: float) -> float:
        """Lately."""
        return self._count * math.exp(-max(0.0, now_s - self._last_s) / _MEMORY_S) / _MEMORY_S
