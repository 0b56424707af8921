"""Which of several kinds of fleet is the cheapest, each with as few of a part as will do.

What a fleet costs grows with its replicas, and so does what it can do. So of each kind only the fewest that hold are of
interest, and of a kind that cannot be cheaper than one that was found nothing is simulated but, at most, the largest
fleet that would be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from simulations.capacity.fewest import fewest

__all__ = ["Cheapest", "Fewest", "Kind", "cheapest"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of fleet. price: of so many replicas, rising with them. guess: how many it may need."""

    of: T
    price: Callable[[int], float]
    holds: Callable[[int], bool]
    guess: int


@dataclass(frozen=True, slots=True)
class Fewest(Generic[T]):
    """The fewest replicas of a kind that hold; None where none of those hold that were looked at. cheaper_only: these
    were only such as would have been cheaper than what was found before, maybe none at all; else all that may be."""

    of: T
    replicas: int | None
    cheaper_only: bool = False


@dataclass(frozen=True, slots=True)
class Cheapest(Generic[T]):
    """The cheapest kind with how many replicas, and the fewest of each kind, in the order of the kinds."""

    of: T
    replicas: int
    price: float
    fewest: tuple[Fewest[T], ...]


def cheapest(kinds: Sequence[Kind[T]], least: int, most: int) -> Cheapest[T] | None:
    """None where no kind holds with the most. Of equal prices the kind that was looked at first is taken."""
    best: tuple[float, Kind[T], int] | None = None
    found: dict[int, Fewest[T]] = {}
    for place in sorted(range(len(kinds)), key=lambda one: kinds[one].price(kinds[one].guess)):
        kind = kinds[place]
        ceiling = most if best is None else _affordable(kind, least, most, best[0])
        replicas = None if ceiling < least else fewest(kind.holds, least, ceiling, kind.guess)
        found[place] = Fewest(kind.of, replicas, cheaper_only=ceiling < most)
        if replicas is not None and (best is None or kind.price(replicas) < best[0]):
            best = kind.price(replicas), kind, replicas
    if best is None:
        return None
    price, kind, replicas = best
    return Cheapest(kind.of, replicas, price, tuple(found[place] for place in range(len(kinds))))


def _affordable(kind: Kind[T], least: int, most: int, below: float) -> int:
    """The most replicas that cost less than that; one below the least where not even those do."""
    too_many = fewest(lambda n: kind.price(n) >= below, least, most, kind.guess)
    return most if too_many is None else too_many - 1
