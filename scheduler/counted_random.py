"""A random generator that knows how often it was drawn from."""

from __future__ import annotations

from random import Random

__all__ = ["CountedRandom"]


class CountedRandom(Random):
    """The sequence of `Random(seed)`. Every method of it draws through one of these two."""

    draws = 0

    def random(self) -> float:
        """See Random."""
        self.draws += 1
        return super().random()

    def getrandbits(self, k: int, /) -> int:
        """See Random."""
        self.draws += 1
        return super().getrandbits(k)
