"""How many requests a second an edge has lately: who waits behind a slow one."""

from __future__ import annotations

import math

__all__ = ["RequestRate"]

# Long enough to tell a rate by a few requests, short enough to follow a burst.
_MEMORY_S = 10.0


class RequestRate:
    """Requests counted with a weight that falls by e in ten seconds. It begins at none and is told of each once."""

    def __init__(self) -> None:
        self._count, self._last_s = 0.0, 0.0

    def seen(self, now_s: float) -> float:
        """One more request has its turn; returns how many a second there were before it. A clock that was set back adds
        no requests and takes none away."""
        self._count *= math.exp(-max(0.0, now_s - self._last_s) / _MEMORY_S)
        self._last_s = now_s
        per_s = self._count / _MEMORY_S
        self._count += 1.0
        return per_s
