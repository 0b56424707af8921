"""Requests at moments at which they once came, from a file of times: see `logged` for requests with all they were."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from isthmus.errors import InvalidConfiguration, InvalidQuantity
from simulations.workload.arrival_process import at_least_zero

__all__ = ["Played", "Recorded", "read_arrivals"]


class Played(NamedTuple):
    """A request of a recording. time_s: when it comes now. number: its place in the recording, from 0."""

    time_s: float
    number: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """times_s: seconds after the start of the recording, never falling. start_s: where in it a client begins, None for
    anywhere, drawn: what came before that comes after the recording's end, so that clients that begin apart from each
    other do not ask as one, and each still asks all that was recorded, once.

    Raises InvalidQuantity where the times are not so, or there is none, and for a start below zero.
    """

    times_s: tuple[float, ...] = field(repr=False)
    start_s: float | None = 0.0

    def __post_init__(self) -> None:
        if self.start_s is not None:
            at_least_zero("arrivals start_s", self.start_s)
        if not self.times_s:
            raise InvalidQuantity("arrivals times_s", "holds no time")
        first_s, last_s = self.times_s[0], self.times_s[-1]
        if not (first_s >= 0.0 and math.isfinite(last_s) and all(a <= b for a, b in pairwise(self.times_s))):
            raise InvalidQuantity("arrivals times_s", "must be seconds from zero on that do not fall")

    @property
    def period_s(self) -> float:
        """How long it lasts: after the last request there is a gap like the mean one. 0 where all came at the start."""
        first_s, last_s = self.times_s[0], self.times_s[-1]
        return last_s + (last_s - first_s) / max(1, len(self.times_s) - 1)

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, while it lasts; infinite where all came at the start."""
        return len(self.times_s) / self.period_s if self.period_s else math.inf

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess. It is played once; `random` draws where it begins."""
        return (one.time_s for one in self.played(random, until_s))

    def played(self, random: random.Random, until_s: float) -> Iterator[Played]:
        """The same, with which of the recording's requests each is."""
        period_s = self.period_s
        start_s = random.random() * period_s if self.start_s is None else self.start_s
        turned_s = start_s % period_s if period_s else 0.0
        first = bisect_left(self.times_s, turned_s)
        numbered = enumerate(self.times_s)
        later = (Played(time_s - turned_s, number) for number, time_s in islice(numbered, first, None))
        before = (Played(time_s + period_s - turned_s, number) for number, time_s in enumerate(self.times_s[:first]))
        return takewhile(lambda one: one.time_s < until_s, chain(later, before))


def read_arrivals(path: Path) -> Recorded:
    """A file of moments in seconds, one a line, in any order and from any clock; the first becomes zero. What follows a
    comma or a blank is left out, "#" starts a comment, and a heading may come first.

    Raises InvalidConfiguration naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration("arrivals", f"cannot be read: {error}", value=str(path)) from error
    numbered = ((number, line.partition("#")[0].replace(",", " ").split()) for number, line in enumerate(lines, 1))
    rows = [(number, words[0]) for number, words in numbered if words]
    times_s = sorted(_time_s(word, number) for number, word in (rows[1:] if rows and _is_heading(rows[0][1]) else rows))
    if not times_s:
        raise InvalidConfiguration("arrivals", "holds no time", value=str(path), remedy="write a second a line: 0.25")
    return Recorded(tuple(time_s - times_s[0] for time_s in times_s))


def _is_heading(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return True
    return False


def _time_s(word: str, number: int) -> float:
    try:
        time_s = float(word)
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s):
        remedy = "write seconds, like 0.25"
        raise InvalidConfiguration(f"arrivals line {number}", "is not a time", value=word, remedy=remedy)
    return time_s
