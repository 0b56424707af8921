"""The randomness of one decision: a function of the seed and the decision's number, so that any decision can be made
again without those before it."""

from __future__ import annotations

from random import Random

__all__ = ["DecisionRandom"]

_NUMBER_BITS = 64


class DecisionRandom(Random):
    """`begin` each decision; what is drawn until the next one depends on seed and number alone.

    Seeding a generator takes as long as a whole choice, and most choices draw nothing: it is put off until one does.
    """

    def __init__(self, seed: int = 0) -> None:
        self._base = seed << _NUMBER_BITS
        self._pending: int | None = None
        super().__init__(seed)

    def begin(self, number: int) -> None:
        """The decision of that number, from 0 to 2^64 - 1."""
        self._pending = self._base | number
        self.gauss_next = None  # the second of a pair that the decision before drew the first of

    def random(self) -> float:
        """See Random."""
        self._settle()
        return super().random()

    def getrandbits(self, k: int, /) -> int:
        """See Random."""
        self._settle()
        return super().getrandbits(k)

    def _settle(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self.seed(pending)
