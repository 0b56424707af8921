"""What the plots of a simulation share: a canvas, lines with gaps, legends, and axes for time and for shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from isthmus.page.axes import Axis
from partitioner.svg import element, escaped, shortened, text

__all__ = ["LEFT", "RIGHT", "WIDTH", "NinesAxis", "TimeAxis", "canvas", "legend", "line", "shade", "steps"]

WIDTH, LEFT, RIGHT = 1000, 80, 970
_LEGEND_CHARACTERS, _CHARACTER = 44, 7.2
_TIME_STEPS_S = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
)


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds since the start of a run, said in the unit that its ticks have."""

    most: float
    start: float = LEFT
    stop: float = RIGHT
    label: str = ""

    @property
    def said(self) -> Callable[[float], str]:
        """ "20 s", "5 min", "2 h"."""
        step = self._step_s()
        unit, length_s = ("s", 1.0) if step < 60 else ("min", 60.0) if step < 3600 else ("h", 3600.0)
        return lambda value: f"{round(value / length_s, 6):g} {unit}" if value else "0"

    def at(self, value: float) -> float:
        """The pixel of a moment."""
        return self.start + min(max(value / self.most, 0.0), 1.0) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Twelve at most."""
        step = self._step_s()
        return [place * step for place in range(int(self.most / step * (1 + 1e-9)) + 1)]

    def _step_s(self) -> float:
        # Beyond two minutes in whole minutes: nobody counts in 90 s.
        steps = (step for step in _TIME_STEPS_S if self.most <= 12 * step and (self.most <= 120 or step >= 60))
        return next(steps, 86400.0 * math.ceil(self.most / 1e6))


@dataclass(frozen=True, slots=True)
class NinesAxis:
    """Shares by how little is left of them: as far from 90 % to 99 % as from 0 to 90 %. most: below 1."""

    most: float
    start: float
    stop: float
    label: str

    @property
    def said(self) -> Callable[[float], str]:
        """ "99.9 %"."""
        return lambda share: f"{100 * share:.6g} %"

    def at(self, value: float) -> float:
        """The pixel of a share; what lies beyond the most is drawn there."""
        return self.start + math.log(1.0 - min(value, self.most)) / math.log(1.0 - self.most) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """0, a half, and nines."""
        return [
            share for share in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999) if 1.0 - share >= (1.0 - self.most) * 0.999
        ]


def canvas(title: str, height: float, body: Sequence[str]) -> str:
    """The picture; its title is what a screen reader and the pointer get."""
    inside = element("title", escaped(title)) + "".join(body)
    return element("svg", inside, class_="chart", role="img", viewBox=f"0 0 {WIDTH} {height:g}", width=WIDTH)


def line(points: Sequence[tuple[float, float] | None], colour: str, label: str, kind: str = "winner") -> str:
    """Through pixels, broken at each None; a point without neighbours is a dot."""
    parts: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    d = "".join("M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in part or ()) for part in parts if part)
    dots = "".join(f"M{part[0][0]:.1f},{part[0][1]:.1f}h0.1" for part in parts if len(part) == 1)
    return element("path", element("title", escaped(label)), d=d + dots, class_=kind, stroke=colour) if d else ""


def steps(
    x: Axis, y: Axis, times: Sequence[float], end: float, values: Sequence[float | None]
) -> list[tuple[float, float] | None]:
    """Pixels of a line that keeps each value until the next time."""
    points: list[tuple[float, float] | None] = []
    for start, stop, value in zip(times, (*times[1:], end), values, strict=True):
        if value is None:
            points.append(None)
        else:
            points += [(x.at(start), y.at(value)), (x.at(stop), y.at(value))]
    return points


def legend(entries: Sequence[tuple[str, str]], top: float, kind: str = "") -> tuple[list[str], float]:
    """Swatches with names, row by row, and the height of them all. entries: (name, colour), or with `kind` (name, the
    class of its part)."""
    made, x, y = list[str](), float(LEFT), top
    for name, colour in entries:
        said = shortened(name, _LEGEND_CHARACTERS)
        wide = 34 + _CHARACTER * len(said)
        if x > LEFT and x + wide > RIGHT:
            x, y = float(LEFT), y + 22
        style = {"class_": f"{kind} {colour}"} if kind else {"fill": colour}
        made.append(element("rect", "", x=x, y=y, width=14, height=14, **style))
        made.append(text(x + 20, y + 12, "tick", said))
        x += wide
    return made, (y - top + 22 if entries else 0.0)


def shade(x: Axis, until: float, top: float, bottom: float, *, named: bool = False) -> Iterator[str]:
    """What the warm-up covers. named: says so, where nothing else is drawn on top."""
    if until > 0:
        wide = x.at(until) - x.start
        yield element("rect", x=x.start, y=top, width=wide, height=bottom - top, class_="shade")
        if named and wide > 70:
            yield text(x.start + wide / 2, bottom - 8, "tick", "warm-up", "middle")
