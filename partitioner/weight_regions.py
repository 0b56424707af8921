"""The lower envelope of planes over a triangle of weights, in exact integer arithmetic.

A plan with cost vector c costs c.w under weights w >= 0 (three of them). Scaling w changes nothing, so the weights are
a triangle, and each plan of the envelope wins on a convex polygon of it. Points of the triangle and lines through it
are integer triples in homogeneous coordinates: a corner is the cross product of two lines, which side it lies on is
the sign of a dot product. Costs become integers without loss (`IntegerAxes`), so no polygon is ever wrong, however many
decades the costs span.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["WHOLE_TRIANGLE", "IntegerAxes", "Polygon", "Triple", "WeightRegions", "clip", "difference", "dot"]

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Corner:
    """A corner of a polygon and the line on which the side after it lies."""

    point: Triple
    side: Triple


Polygon = tuple[Corner, ...]

WHOLE_TRIANGLE: Polygon = (
    Corner((1, 0, 0), (0, 0, 1)),
    Corner((0, 1, 0), (1, 0, 0)),
    Corner((0, 0, 1), (0, 1, 0)),
)


def dot(a: Triple, b: Triple) -> int:
    """The inner product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def difference(a: Triple, b: Triple) -> Triple:
    """a - b."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def clip(polygon: Polygon, line: Triple) -> Polygon:
    """The part of a convex polygon where line.w >= 0; empty where that has no area (Sutherland and Hodgman 1974)."""
    a, b, c = line  # dot(line, point), written out: clipping is mostly this
    signs = [a * x + b * y + c * z for x, y, z in [corner.point for corner in polygon]]
    if min(signs, default=0) >= 0:
        return polygon
    if max(signs) <= 0:
        return ()
    kept = []
    for corner, (here, there) in zip(polygon, pairwise((*signs, signs[0])), strict=True):
        if here > 0 or (here == 0 and there > 0):
            kept.append(corner)
        elif here == 0:
            kept.append(Corner(corner.point, line))
        if here > 0 > there:
            kept.append(Corner(_meeting(corner.side, line), line))
        elif here < 0 < there:
            kept.append(Corner(_meeting(corner.side, line), corner.side))
    return tuple(kept)


def _meeting(a: Triple, b: Triple) -> Triple:
    """The point on two lines, in lowest terms, with weights that are not negative."""
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    divisor = math.gcd(x, y, z) if x + y + z > 0 else -math.gcd(x, y, z)
    return (x // divisor, y // divisor, z // divisor)


@dataclass(frozen=True, slots=True)
class IntegerAxes:
    """Cost vectors as integers, exactly: each axis counted in a power of two of its own.

    A sum of floats that are zero or at least m is itself such a float, and so a multiple of the last digit of m.
    """

    shifts: tuple[int, int, int]

    @classmethod
    def of(cls, costs: Iterable[tuple[float, float, float]]) -> IntegerAxes:
        """Units that fit all sums of these costs: costs times 2**shift are integers."""
        columns = [[c for c in column if 0.0 < c < math.inf] for column in zip(*costs, strict=True)] or [[]] * 3
        edge, wire, cloud = (1 - math.frexp(math.ulp(min(column, default=1.0)))[1] for column in columns)
        return cls((edge, wire, cloud))

    def plane(self, costs: tuple[float, float, float]) -> Triple:
        """The cost vector in units."""
        ratios = (cost.as_integer_ratio() for cost in costs)
        edge, wire, cloud = (
            (above << max(shift, 0)) // (below << max(-shift, 0))
            for (above, below), shift in zip(ratios, self.shifts, strict=True)
        )
        return (edge, wire, cloud)

    def weights(self, point: Triple) -> tuple[float, float, float]:
        """The weights of a point on costs as they were given, each rounded once; the largest is 1."""
        least = min(self.shifts)
        edge, wire, cloud = (value << (shift - least) for value, shift in zip(point, self.shifts, strict=True))
        largest = max(edge, wire, cloud)
        return (edge / largest, wire / largest, cloud / largest)


class WeightRegions:
    """Which of the planes added so far is the lowest where. Planes are numbered in the order they came."""

    def __init__(self, within: Polygon = WHOLE_TRIANGLE) -> None:
        self._within = within
        self._planes: list[Triple] = []
        self._regions: dict[int, Polygon] = {}

    @property
    def regions(self) -> dict[int, Polygon]:
        """The polygon of every plane that is the only lowest one somewhere."""
        return dict(self._regions)

    def lowest_at(self, point: Triple) -> int:
        """A plane of the least value at `point`."""
        return min(self._regions, key=lambda number: dot(self._planes[number], point))

    def is_corner(self, number: int, point: Triple) -> bool:
        """Whether `point` is still a corner of that plane's region."""
        return any(corner.point == point for corner in self._regions.get(number, ()))

    def add(self, plane: Triple) -> Polygon:
        """Add a plane; returns its region, empty where others are as low everywhere."""
        clipped = {}
        for other, polygon in self._regions.items():
            left = clip(polygon, difference(plane, self._planes[other]))
            if left is not polygon:
                clipped[other] = left
        number, region = len(self._planes), self._within if clipped or not self._regions else ()
        self._planes.append(plane)
        for other, left in clipped.items():
            region = clip(region, difference(self._planes[other], plane))
            self._regions[other] = left
        self._regions[number] = region
        self._regions = {one: polygon for one, polygon in self._regions.items() if polygon}
        return region
