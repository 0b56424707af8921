"""The contract of arrivals that come whether or not earlier ones are answered: an open loop."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Protocol

from isthmus.errors import InvalidQuantity

__all__ = ["ArrivalProcess", "at_least_zero", "positive"]


class ArrivalProcess(Protocol):
    """One client's requests over time.

    Implementations are frozen and hold no randomness: equal sources give equal times, and the times until a later
    moment begin with the times until an earlier one.
    """

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, in the long run."""

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """Seconds after the start at which requests come, never falling, from zero on and before `until_s`.

        until_s: may be infinite, then the iterator has no end (a recording's has).
        """


def positive(field: str, value: float) -> None:
    """Raises InvalidQuantity where `value` is not a number above zero."""
    if not (math.isfinite(value) and value > 0):
        raise InvalidQuantity(field, "must be above zero", value=value)


def at_least_zero(field: str, value: float) -> None:
    """Raises InvalidQuantity where `value` is not a number of zero or more."""
    if not (math.isfinite(value) and value >= 0):
        raise InvalidQuantity(field, "must be zero or more", value=value)
