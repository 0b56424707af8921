"""Requests as they really came: from a log, or a file of times."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path

from isthmus.errors import InvalidConfiguration, InvalidQuantity

__all__ = ["Recorded", "read_arrivals"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """times_s: seconds after the start, never falling. Raises InvalidQuantity where they are not, or there is none."""

    times_s: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.times_s:
            raise InvalidQuantity("arrivals times_s", "holds no time")
        first_s, last_s = self.times_s[0], self.times_s[-1]
        if not (first_s >= 0.0 and math.isfinite(last_s) and all(a <= b for a, b in pairwise(self.times_s))):
            raise InvalidQuantity("arrivals times_s", "must be seconds from zero on that do not fall")

    @property
    def mean_rate_per_s(self) -> float:
        """Requests a second, up to the last one; infinite where all came at the start."""
        return len(self.times_s) / self.times_s[-1] if self.times_s[-1] else math.inf

    def times(self, random: random.Random, until_s: float) -> Iterator[float]:
        """See ArrivalProcess. The recording ends where it ends; `random` has no part in it."""
        return takewhile(lambda time_s: time_s < until_s, self.times_s)


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
