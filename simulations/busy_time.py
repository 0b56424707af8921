"""How long something worked within the part of a run that counts."""

from __future__ import annotations

import math

__all__ = ["BusyTime"]


class BusyTime:
    """seconds: of what was added, between the two moments."""

    __slots__ = ("_from_s", "_until_s", "seconds")

    def __init__(self, from_s: float = 0.0, until_s: float = math.inf) -> None:
        self._from_s, self._until_s = from_s, until_s
        self.seconds = 0.0

    def add(self, began_s: float, ended_s: float) -> None:
        """It worked then."""
        self.seconds += self.counted_s(began_s, ended_s)

    def take_back(self, began_s: float, ended_s: float) -> None:
        """It did not, though it was said."""
        self.seconds -= self.counted_s(began_s, ended_s)

    def counted_s(self, began_s: float, ended_s: float) -> float:
        """How much of that time counts."""
        return max(0.0, min(ended_s, self._until_s) - max(began_s, self._from_s))
