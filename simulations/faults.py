"""When things are away, for links and replicas: at given moments, or at random."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Absences", "Fault", "PlannedFaults", "RandomFaults"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Away from `at_s` until `until_s`."""

    at_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class PlannedFaults:
    """Those, in any order; what overlaps is one."""

    faults: tuple[Fault, ...] = ()

    def times(self, rng: random.Random) -> Iterator[Fault]:
        """In order, apart from each other. rng: not needed."""
        open_: Fault | None = None
        for one in sorted(self.faults, key=lambda fault: (fault.at_s, fault.until_s)):
            if open_ is None or one.at_s > open_.until_s:
                if open_ is not None:
                    yield open_
                open_ = one
            else:
                open_ = Fault(open_.at_s, max(open_.until_s, one.until_s))
        if open_ is not None:
            yield open_


@dataclass(frozen=True, slots=True)
class RandomFaults:
    """An alternating renewal process, both times exponential. every_s: mean from the end of one to the next. lasts_s:
    mean length. So it is away for lasts / (every + lasts) of the time."""

    every_s: float
    lasts_s: float

    def times(self, rng: random.Random) -> Iterator[Fault]:
        """In order, without end."""
        end_s = 0.0
        while True:
            at_s = end_s + rng.expovariate(1.0 / self.every_s)
            end_s = at_s + rng.expovariate(1.0 / self.lasts_s)
            yield Fault(at_s, end_s)


class Absences:
    """Faults that are looked up by time; of random ones, as many are drawn as are asked for."""

    def __init__(self, faults: Iterator[Fault]) -> None:
        """faults: in order, apart from each other."""
        self._faults = faults
        self._drawn: list[Fault] = []
        self._starts_s: list[float] = []
        self._all = False

    def next(self, moment_s: float) -> Fault | None:
        """The one that lasts then, or the first after it; None where none comes any more."""
        self._draw_to(moment_s)
        place = max(0, bisect_right(self._starts_s, moment_s) - 1)
        for one in self._drawn[place : place + 2]:
            if one.until_s > moment_s:
                return one
        return None

    def _draw_to(self, moment_s: float) -> None:
        """Until the last one drawn starts later."""
        while not self._all and (not self._drawn or self._drawn[-1].at_s <= moment_s):
            one = next(self._faults, None)
            if one is None:
                self._all = True
            else:
                self._drawn.append(one)
                self._starts_s.append(one.at_s)
