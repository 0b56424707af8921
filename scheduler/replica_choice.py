"""Which of several replicas gets a request: the one of two drawn at random that is predicted to finish it sooner.

The best of all would be every edge's best at once, by reports that are a moment old: they would all jump to it. Of two
drawn at random the better one balances nearly as well (Mitzenmacher 2001, "The power of two choices"), and what is
stale misleads only those who drew it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = ["sooner_of_two"]


def sooner_of_two(count: int, finish_s: Callable[[int], float], rng: Random) -> int:
    """The place of one of `count` (at least one); `rng` is drawn from only where there are several. finish_s: when the
    one at a place would have finished; asked of the two that are drawn."""
    if count == 1:
        return 0
    one = int(rng.random() * count)
    other = int(rng.random() * (count - 1))
    other += other >= one
    return one if finish_s(one) <= finish_s(other) else other
