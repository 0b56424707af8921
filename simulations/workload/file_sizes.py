"""How large the files of requests are."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

from isthmus.errors import InvalidQuantity
from simulations.workload.arrival_process import at_least_zero, positive

__all__ = ["ConstantSize", "FileSizes", "LogNormalSize", "SizeRange"]


class FileSizes(Protocol):
    """Sizes of one client's files, each drawn by itself. Implementations are frozen."""

    @property
    def mean_bytes(self) -> float:
        """In the long run."""

    def draw(self, random: random.Random) -> int:
        """The size of the next file in bytes, one or more."""


@dataclass(frozen=True, slots=True)
class ConstantSize:
    """All alike."""

    size_bytes: int

    def __post_init__(self) -> None:
        positive("file size_bytes", self.size_bytes)

    @property
    def mean_bytes(self) -> float:
        """That size."""
        return float(self.size_bytes)

    def draw(self, random: random.Random) -> int:
        """See FileSizes."""
        return self.size_bytes


@dataclass(frozen=True, slots=True)
class SizeRange:
    """Evenly distributed from the least to the most, both included."""

    least_bytes: int
    most_bytes: int

    def __post_init__(self) -> None:
        positive("file least_bytes", self.least_bytes)
        if self.most_bytes < self.least_bytes:
            raise InvalidQuantity("file most_bytes", "must not be below least_bytes", value=self.most_bytes)

    @property
    def mean_bytes(self) -> float:
        """The middle."""
        return (self.least_bytes + self.most_bytes) / 2

    def draw(self, random: random.Random) -> int:
        """See FileSizes."""
        return random.randint(self.least_bytes, self.most_bytes)


@dataclass(frozen=True, slots=True)
class LogNormalSize:
    """As sizes of photos are: half below the median, and a long tail above.

    spread: the standard deviation of the size's natural logarithm; 0.5 puts 95 % within a factor of 2.7.
    """

    median_bytes: int
    spread: float

    def __post_init__(self) -> None:
        positive("file median_bytes", self.median_bytes)
        at_least_zero("file spread", self.spread)

    @property
    def mean_bytes(self) -> float:
        """Above the median: exp(spread^2 / 2) times as much."""
        return self.median_bytes * math.exp(self.spread**2 / 2)

    def draw(self, random: random.Random) -> int:
        """See FileSizes."""
        return max(1, round(random.lognormvariate(math.log(self.median_bytes), self.spread)))
