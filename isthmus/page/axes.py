"""A plot's frame: axes with ticks where people expect them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from partitioner.svg import element, text

__all__ = ["Axis", "LinearAxis", "LogAxis", "frame"]

_DENSE_DECADES = 2.5
_TICKS = 6


class Axis(Protocol):
    """Values along a line of pixels from `start` to `stop`; `said` writes one at its tick."""

    @property
    def start(self) -> float: ...

    @property
    def stop(self) -> float: ...

    @property
    def label(self) -> str: ...

    @property
    def said(self) -> Callable[[float], str]: ...

    def at(self, value: float) -> float:
        """The pixel of a value."""
        ...

    def ticks(self) -> list[float]:
        """Round values, in order."""
        ...


@dataclass(frozen=True, slots=True)
class LinearAxis:
    """Values from zero to `most` (above zero), drawn from pixel `start` to pixel `stop`."""

    most: float
    start: float
    stop: float
    label: str
    said: Callable[[float], str]

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is drawn at the end."""
        return self.start + min(max(value / self.most, 0.0), 1.0) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """From zero on, 1, 2 or 5 times a power of ten apart, seven at most."""
        power = 10.0 ** math.floor(math.log10(self.most / _TICKS))
        step = next(times * power for times in (1, 2, 5, 10) if self.most <= _TICKS * times * power * 1.001)
        return [place * step for place in range(int(self.most / step * 1.001) + 1)]


@dataclass(frozen=True, slots=True)
class LogAxis:
    """Values from `least` to `most` (above zero), drawn from pixel `start` to pixel `stop`."""

    least: float
    most: float
    start: float
    stop: float
    label: str
    said: Callable[[float], str]

    def at(self, value: float) -> float:
        """The pixel of a value; what lies outside is drawn at the end."""
        held = min(max(value, self.least), self.most)
        share = math.log(held / self.least) / math.log(self.most / self.least)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten, with 2 and 5 times them where there is room."""
        steps = (1, 2, 5) if math.log10(self.most / self.least) <= _DENSE_DECADES else (1,)
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        values = (step * 10.0**power for power in powers for step in steps)
        return [value for value in values if self.least * 0.999 <= value <= self.most * 1.001]

    def between(self, first: float, last: float, count: int) -> list[float]:
        """`count` values and the last, evenly apart on the axis, both ends exact."""
        first, last = max(first, self.least), min(last, self.most)
        inner = [first * (last / first) ** (i / count) for i in range(1, count)]
        return [first, *inner, last]


def frame(x: Axis, y: Axis) -> Iterator[str]:
    """Grid lines, tick labels and axis labels."""
    for value in x.ticks():
        yield element("path", d=f"M{x.at(value):.1f},{y.start:g} V{y.stop:g}", class_="grid")
        yield text(x.at(value), y.start + 18, "tick", x.said(value), "middle")
    for value in y.ticks():
        yield element("path", d=f"M{x.start:g},{y.at(value):.1f} H{x.stop:g}", class_="grid")
        yield text(x.start - 8, y.at(value) + 4, "tick", y.said(value), "end")
    if x.label:
        yield text((x.start + x.stop) / 2, y.start + 38, "axis", x.label, "middle")
    if y.label:
        yield text(x.start - 60, y.stop - 12, "axis", y.label)
