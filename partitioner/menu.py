"""The menu: the fewest cuts that are nearly as good as the whole frontier wherever a fleet may find itself.

Under F of round trip the guarantee is that at F = 0 or better: edge-only is in the menu wherever it may be, and for
the other plans F is added to both sides of the ratio.

The domain is continuous, and so is the guarantee. Over the weights of edge seconds, wire bytes and cloud seconds the
frontier and a menu are both lowest planes; where neither changes its plane, their ratio is one of two linear functions,
which is largest in a corner. So the excess of a menu is found from finitely many corners, in exact integers. The
fewest cuts are a set cover of some corners; where a menu fails, its worst corner joins them, until none fails. Each
cover is a lower bound of the size, so the last one is the fewest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

from isthmus.errors import InvalidInput
from partitioner.frontier import Frontier, FrontierPlan
from partitioner.set_cover import Cover, smallest_cover
from partitioner.weight_regions import WHOLE_TRIANGLE, IntegerAxes, Polygon, Triple, WeightRegions, clip, dot

__all__ = ["MOST_CUTS", "Domain", "Menu", "MenuCut", "menu_of"]

MOST_CUTS = 6
"""Of a menu that a fleet is offered, live and simulated."""

_WIDEN = 1.0 + 1e-6


@dataclass(frozen=True, slots=True)
class Domain:
    """The conditions to serve: uplink bandwidth and loads between the least and the most of each, any round trip."""

    bandwidths_bps: tuple[float, float] = (0.5e6, 1e9)
    edge_loads: tuple[float, float] = (1.0, 2.0)
    cloud_loads: tuple[float, float] = (1.0, 4.0)

    def __post_init__(self) -> None:
        for name in ("bandwidths_bps", "edge_loads", "cloud_loads"):
            least, most = getattr(self, name)
            if not 0.0 < least <= most < 1e30:
                raise InvalidInput(f"domain.{name}", "must be above zero, the least first", value=(least, most))

    def weights(self) -> tuple[tuple[float, float], ...]:
        """The range of the price of an edge second, a wire byte and a cloud second; a millionth wide at least."""
        slowest, fastest = self.bandwidths_bps
        ranges = (self.edge_loads, (8.0 / fastest, 8.0 / slowest), self.cloud_loads)
        return tuple((least, max(most, least * _WIDEN)) for least, most in ranges)


@dataclass(frozen=True, slots=True)
class MenuCut:
    """A cut to offer, with the frontier's plans of it (its codecs differ with the condition)."""

    edge_ops: tuple[str, ...]
    plans: tuple[FrontierPlan, ...]


@dataclass(frozen=True, slots=True)
class Menu:
    """The cuts to offer, those with the most edge ops first, and what they guarantee.

    excess: by what share the best of them is slower than the frontier at most, anywhere in the domain; reached where
    the round trip is 0. tolerance: what was asked for, or granted for `most_cuts`. is_fewest: no fewer cuts of the
    frontier keep the tolerance.
    """

    cuts: tuple[MenuCut, ...]
    excess: float
    tolerance: float
    is_fewest: bool
    domain: Domain


def menu_of(
    frontier: Frontier, tolerance: float = 0.02, domain: Domain = Domain(), most_cuts: int | None = None
) -> Menu:
    """The fewest cuts of `frontier` that stay within `tolerance` of it over `domain`, edge-only among them.

    most_cuts: the tolerance grows by half until so many do. Raises InvalidInput for a tolerance below zero or no cuts.
    """
    if tolerance < 0 or (most_cuts is not None and most_cuts < 1):
        raise InvalidInput("menu", "needs a tolerance of zero or more and a cut at least", value=(tolerance, most_cuts))
    search = _Search(frontier, domain)
    menu = search.menu(tolerance)
    while most_cuts is not None and len(menu.cuts) > most_cuts:
        tolerance = max(tolerance * 1.5, 1e-3)
        menu = search.menu(tolerance)
    return menu


class _Search:
    def __init__(self, frontier: Frontier, domain: Domain) -> None:
        self._domain = domain
        self._plans = frontier.plans
        ratio = frontier.downlink_ratio
        costs = [
            (p.costs.edge_s, p.costs.uplink_bytes + ratio * p.costs.downlink_bytes, p.costs.cloud_s)
            for p in frontier.plans
        ]
        integers = IntegerAxes.of(costs)
        self._planes = [integers.plane(cost) for cost in costs]
        self._cuts = list(dict.fromkeys(plan.plan.edge_ops for plan in frontier.plans))
        self._cut_of = [self._cuts.index(plan.plan.edge_ops) for plan in frontier.plans]
        self._always = frozenset(self._cut_of[i] for i, p in enumerate(self._plans) if p.plan.kind == "edge-only")
        self._regions = _envelope(_domain_polygon(domain, integers), self._planes).regions
        self._corners = dict.fromkeys(_corners(self._regions))

    def menu(self, tolerance: float) -> Menu:
        """The smallest menu for that tolerance."""
        most = 1 + Fraction(tolerance)
        while True:
            cover = smallest_cover((self._owners(corner, most) for corner in self._corners), self._always)
            worst = self._worst(cover)
            if worst is None or self._excess(worst, cover) <= most:
                return self._menu(cover, tolerance, float(self._excess(worst, cover) - 1) if worst else 0.0)
            self._corners[worst] = None

    def _owners(self, corner: Triple, most: Fraction) -> frozenset[int]:
        """The cuts that are good enough there."""
        costs = [dot(plane, corner) for plane in self._planes]
        bound = min(costs) * most
        return frozenset(self._cut_of[i] for i, cost in enumerate(costs) if cost <= bound)

    def _worst(self, cover: Cover) -> Triple | None:
        """The corner of the domain, overlaid with the regions of frontier and menu, where the menu does worst."""
        planes = [plane for plane, cut in zip(self._planes, self._cut_of, strict=True) if cut in cover.chosen]
        overlaid = (_envelope(polygon, planes).regions for polygon in self._regions.values())
        corners = (corner for regions in overlaid for corner in _corners(regions))
        return max(corners, key=lambda corner: self._excess(corner, cover), default=None)

    def _excess(self, corner: Triple, cover: Cover) -> Fraction:
        costs = [dot(plane, corner) for plane in self._planes]
        offered = min(cost for cost, cut in zip(costs, self._cut_of, strict=True) if cut in cover.chosen)
        return Fraction(offered, min(costs)) if offered else Fraction(1)

    def _menu(self, cover: Cover, tolerance: float, excess: float) -> Menu:
        cuts = tuple(
            MenuCut(edge_ops, tuple(plan for plan in self._plans if plan.plan.edge_ops == edge_ops))
            for number, edge_ops in enumerate(self._cuts)
            if number in cover.chosen
        )
        return Menu(cuts, excess, tolerance, cover.is_fewest, self._domain)


def _envelope(within: Polygon, planes: Iterable[Triple]) -> WeightRegions:
    regions = WeightRegions(within)
    for plane in planes:
        regions.add(plane)
    return regions


def _corners(regions: dict[int, Polygon]) -> Iterator[Triple]:
    return (corner.point for polygon in regions.values() for corner in polygon)


def _domain_polygon(domain: Domain, integers: IntegerAxes) -> Polygon:
    """All weights in the domain up to a factor: of each two, how far one may exceed the other."""
    polygon = WHOLE_TRIANGLE
    exact = [tuple(Fraction(bound) for bound in bounds) for bounds in domain.weights()]
    for one, other in permutations(range(3), 2):
        # w[one] * least[other] <= w[other] * most[one], on the axes' integer scales
        line = [Fraction(0)] * 3
        line[other] = exact[one][1] * Fraction(2) ** integers.shifts[other]
        line[one] = -exact[other][0] * Fraction(2) ** integers.shifts[one]
        polygon = clip(polygon, _integer_line(line))
    return polygon


def _integer_line(line: list[Fraction]) -> Triple:
    scale = line[0].denominator * line[1].denominator * line[2].denominator
    a, b, c = (int(value * scale) for value in line)
    return (a, b, c)
