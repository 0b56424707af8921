"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

__all__ = ["Backoff"]


class Backoff:
    """Waits that double from `first_s` to `most_s`, each drawn from its upper half, so many do not try together."""

    def __init__(self, first_s: float = 0.1, most_s: float = 2.0, rng: Random | None = None) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s
        self._rng = rng or Random()

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        wait_s, self._next_s = self._next_s, min(self._most_s, 2 * self._next_s)
        return wait_s * (0.5 + 0.5 * self._rng.random())

    def succeeded(self) -> None:
        """Start again from the shortest wait."""
        self._next_s = self._first_s
