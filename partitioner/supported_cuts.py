"""All cuts that are the best under some weights of edge seconds, wire bytes and cloud seconds.

The best cost f(w) = min over cuts c.w is concave and piecewise linear in the weights w; its pieces are the extreme
supported points of a three-objective problem. They are found from outside, by the method that Aneja and Nair (1979)
gave for two objectives, in the weight space of Przybylski, Gandibleux and Ehrgott (2010), as the dual variant of
Benson's outer approximation (Ehrgott, Loehne and Shao 2012) has it: the envelope g >= f of the plans found so far
divides the weights into polygons; each of their corners is solved (one minimum cut). A corner where that beats g gives
a new plan, whose plane cuts corners off. When no corner is left unsolved, f = g at all of them; on each polygon g is
linear and f concave, so f >= g there, and both are one. There are about three solves for each plan.

Nothing here is rounded but the weights handed to the solver (one rounding each) and the cut's value (1e-12): a plan is
missed only where it wins by less than about 1e-12 of the best value. Where a solver proves its answers only within a
share of the best value, as under limits, the envelope of them is within the same share of the best everywhere: at each
corner f >= (1 - gap) g, and between the corners f is concave and g linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from partitioner.axis_costs import three_axes
from partitioner.chains import never_needed
from partitioner.parametric_problem import CutChoice, ParametricProblem
from partitioner.weight_regions import IntegerAxes, Triple, WeightRegions
from partitioner.weighted_cuts import WeightedCuts

__all__ = ["Answer", "SupportedCut", "Weights", "axes", "supported_answers", "supported_cuts"]

Weights = tuple[float, float, float]

_RELATIVE_ERROR = 1e-12


@dataclass(frozen=True, slots=True)
class SupportedCut:
    """A cut with the ways of its tensors, and the corners of the polygon of weights under which it is the best."""

    choice: CutChoice
    region: tuple[Weights, ...]


class Answer(Protocol):
    """What a solver found under some weights; it gets it back as a start for weights where it wins so far."""

    @property
    def choice(self) -> CutChoice:
        """The cut with the ways of its tensors."""


_Found = TypeVar("_Found", bound=Answer)


def axes(choice: CutChoice, downlink_ratio: float) -> Weights:
    """Edge seconds, wire bytes (the downlink's times the ratio of the bandwidths), cloud seconds."""
    costs = choice.costs
    return (costs.edge_s, costs.uplink_bytes + downlink_ratio * costs.downlink_bytes, costs.cloud_s)


def supported_cuts(problem: ParametricProblem, downlink_ratio: float = 1.0) -> tuple[SupportedCut, ...]:
    """The cuts that win on a set of weights with an area, in the order found. Raises InfeasibleCut where there is none.

    Two cuts of one cost vector count as one. downlink_ratio: uplink bandwidth over downlink bandwidth.
    """
    cuts = WeightedCuts(problem, three_axes(downlink_ratio), never_needed(problem))
    return supported_answers(problem, downlink_ratio, cuts.solve)


def supported_answers(
    problem: ParametricProblem, downlink_ratio: float, solve: Callable[[Weights, _Found | None], _Found]
) -> tuple[SupportedCut, ...]:
    """The same of what `solve` says is the best under given weights, from a start that wins there so far."""
    return _Search(problem, downlink_ratio, solve).run()


class _Search(Generic[_Found]):
    def __init__(
        self, problem: ParametricProblem, downlink_ratio: float, solve: Callable[[Weights, _Found | None], _Found]
    ) -> None:
        self._solve = solve
        self._ratio = downlink_ratio
        self._integers = IntegerAxes.of(_all_costs(problem, downlink_ratio))
        self._found: list[_Found] = []
        self._regions = WeightRegions()
        self._solved: set[Triple] = set()
        self._open: list[tuple[int, Triple]] = []

    def run(self) -> tuple[SupportedCut, ...]:
        """Solve corners until all are solved."""
        self._add(self._solve((1.0, 1.0, 1.0), None))
        while self._open:
            number, corner = self._open.pop()
            if corner not in self._solved and self._regions.is_corner(number, corner):
                self._solved.add(corner)
                self._explore(number, corner)
        return tuple(
            SupportedCut(self._found[number].choice, tuple(self._integers.weights(corner.point) for corner in polygon))
            for number, polygon in self._regions.regions.items()
        )

    def _explore(self, number: int, corner: Triple) -> None:
        """Solve one corner; what beats its plan joins."""
        weights, known = self._integers.weights(corner), self._found[number]
        value = _value(axes(known.choice, self._ratio), weights)
        if value == 0.0:
            return
        better = self._solve(weights, known)
        if _value(axes(better.choice, self._ratio), weights) < value * (1.0 - _RELATIVE_ERROR):
            self._add(better)

    def _add(self, cut: _Found) -> None:
        number = len(self._found)
        self._found.append(cut)
        for corner in self._regions.add(self._integers.plane(axes(cut.choice, self._ratio))):
            self._open.append((number, corner.point))


def _value(costs: Weights, weights: Weights) -> float:
    return math.fsum(cost * weight for cost, weight in zip(costs, weights, strict=True))


def _all_costs(problem: ParametricProblem, downlink_ratio: float) -> Iterator[Weights]:
    """Every term that a plan's costs can be a sum of."""
    yield from ((op.edge_s, 0.0, op.cloud_s) for op in problem.ops)
    for tensor in problem.tensors:
        yield from ((way.edge_s, way.wire_bytes, way.cloud_s) for way in tensor.uplink)
        yield from ((way.edge_s, way.wire_bytes * downlink_ratio, way.cloud_s) for way in tensor.downlink)
