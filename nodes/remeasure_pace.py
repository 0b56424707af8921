"""How often an edge measures its plans again by itself. Pure."""

from __future__ import annotations

__all__ = ["LEAST_BETWEEN_S", "MOST_BETWEEN_S", "RemeasurePace"]

LEAST_BETWEEN_S, MOST_BETWEEN_S = 900.0, 86_400.0


class RemeasurePace:
    """One in LEAST_BETWEEN_S at most. Where an alarm comes back before the next one is due, measuring did not help (the
    cause comes and goes, or a run by itself is never as slow as a request's): then the next wait is twice as long. A
    whole wait without an alarm makes it short again."""

    def __init__(self) -> None:
        self._wait_s, self._next_s = LEAST_BETWEEN_S, float("-inf")

    def due(self, drifted: bool, now_s: float) -> bool:
        """Whether to measure now. drifted: whether an alarm of the edge's side stands."""
        if now_s < self._next_s:
            return False
        if not drifted:
            self._wait_s = LEAST_BETWEEN_S
        return drifted

    def measured(self, now_s: float) -> None:
        """It was done, on whoever's order."""
        self._next_s = now_s + self._wait_s
        self._wait_s = min(MOST_BETWEEN_S, 2 * self._wait_s)
