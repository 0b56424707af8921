"""How long to wait before trying again."""

from __future__ import annotations

from random import Random

__all__ = ["Backoff"]

# Of the whole wait: below it, attempts that draw badly would follow each other at once.
_LEAST_SHARE = 0.1


class Backoff:
    """Waits of which the longest doubles from `first_s` to `most_s`, each drawn from nearly all of its range.

    Drawing from the whole range, not from around its end, spreads a fleet that lost its cloud in one moment over the
    whole wait (M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015: "full jitter").
    """

    def __init__(self, first_s: float = 0.2, most_s: float = 2.0, rng: Random | None = None) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s
        self._rng = rng or Random()

    @property
    def longest_s(self) -> float:
        """What the next wait may be at most."""
        return self._next_s

    def next_s(self) -> float:
        """Seconds to wait before the next attempt."""
        wait_s, self._next_s = self._next_s, min(self._most_s, 2 * self._next_s)
        return wait_s * self._rng.uniform(_LEAST_SHARE, 1.0)

    def succeeded(self) -> None:
        """Start again from the shortest wait."""
        self._next_s = self._first_s
