"""Lower bounds of a search by Lagrange multipliers: the best mixture of stages and prices of budgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from isthmus.errors import InfeasibleCut
from partitioner.parametric_problem import CutChoice
from partitioner.weighted_cuts import Pins, WeightedCuts

__all__ = ["Bound", "Budget", "Lagrangian", "PricedStage"]

_Floats = NDArray[np.float64]
_MOST_ROUNDS = 40
_CLOSE = 1e-9
# In units of the best known value for a whole budget: going over it cannot pay.
_MOST_PRICE = 1e4


@dataclass(frozen=True, slots=True)
class PricedStage:
    """A stage's price on each axis, and for leaving the edge at all."""

    prices: tuple[float, ...]
    crossing: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a cut takes (a weight on each axis) may not exceed the limit."""

    weights: tuple[float, ...]
    limit: float


@dataclass(frozen=True, slots=True)
class Bound:
    """value: nothing within the pins is below it. seen: cuts met on the way. mixture: those behind it, with shares."""

    value: float
    seen: tuple[CutChoice, ...]
    mixture: tuple[tuple[CutChoice, float], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """ceiling: no bound of these cuts is above it. stages, prices: what reaches it. shares: of the cuts, its dual."""

    ceiling: float
    stages: _Floats
    prices: _Floats
    shares: _Floats


@dataclass(frozen=True, slots=True)
class Lagrangian:
    """Bounds over cuts. axes: the amounts of a cut. edge_only: that cut, where it may be."""

    cuts: WeightedCuts
    axes: Callable[[CutChoice], tuple[float, ...]]
    op_count: int
    stages: tuple[PricedStage, ...]
    budgets: tuple[Budget, ...] = ()
    edge_only: CutChoice | None = None
    _pool: list[CutChoice] = field(default_factory=list)

    def value(self, choice: CutChoice) -> float:
        """The dearest stage."""
        return float(self._stages(choice).max())

    def bound(self, pins: Pins, known: float) -> Bound:
        """A lower bound over all cuts within `pins`; it need not go above `known`. Raises InfeasibleCut."""
        self._check_budgets(pins)
        columns = [choice for choice in self._pool if _within(choice, pins)]
        mix = np.full(len(self.stages), 1 / len(self.stages))
        prices = np.zeros(len(self.budgets))
        seen, best, shares = list(columns), -math.inf, np.zeros(0)
        for _ in range(_MOST_ROUNDS):
            choice = self._cheapest(mix, prices, pins)
            best = max(best, float(mix @ self._stages(choice) + prices @ self._overruns(choice)))
            seen.append(choice)
            columns.append(choice)
            mixture = self._best_mixture(columns)
            mix, prices, shares = mixture.stages, mixture.prices, mixture.shares
            if best >= known or best >= mixture.ceiling - _CLOSE * abs(mixture.ceiling):
                break
        self._pool.extend(choice for choice in seen if choice not in self._pool)
        together = [(choice, float(share)) for choice, share in zip(columns, shares, strict=True) if share > _CLOSE]
        return Bound(best, tuple(seen), tuple(together))

    def _cheapest(self, mix: _Floats, prices: _Floats, pins: Pins) -> CutChoice:
        weights = mix @ np.array([stage.prices for stage in self.stages])
        if self.budgets:
            weights = weights + prices @ np.array([budget.weights for budget in self.budgets])
        choice = self.cuts.solve(weights.tolist(), pins=pins).choice
        if self.edge_only is None or not _within(self.edge_only, pins):
            return choice
        crossing = float(mix @ [stage.crossing for stage in self.stages])
        both = (self.edge_only, choice)
        return min(both, key=lambda one: float(weights @ self.axes(one)) + crossing * self._crosses(one))

    def _best_mixture(self, columns: Sequence[CutChoice]) -> _Mixture:
        """The mixture and prices under which the cheapest of `columns` is dearest: value, both, and the dual shares."""
        stages = np.array([self._stages(choice) for choice in columns])
        overruns = np.array([self._overruns(choice) for choice in columns]).reshape(len(columns), -1)
        scale = float(np.abs(stages).max()) or 1.0
        units = np.array([abs(budget.limit) or 1.0 for budget in self.budgets])
        rows = np.hstack((np.ones((len(columns), 1)), -stages / scale, -overruns / units))
        bounds = [(None, None), *[(0, None)] * stages.shape[1], *[(0, _MOST_PRICE)] * overruns.shape[1]]
        sums_to_one = np.array([[0.0, *[1.0] * stages.shape[1], *[0.0] * overruns.shape[1]]])
        goal = np.zeros(rows.shape[1])
        goal[0] = -1.0
        best = linprog(goal, rows, np.zeros(len(columns)), sums_to_one, [1.0], bounds, method="highs")
        answer = np.maximum(np.asarray(best.x), 0.0)
        mix, prices = answer[1 : 1 + stages.shape[1]], answer[1 + stages.shape[1] :]
        return _Mixture(
            -float(np.asarray(best.fun)) * scale, mix, prices * scale / units, -np.asarray(best.ineqlin.marginals)
        )

    def _check_budgets(self, pins: Pins) -> None:
        """Each budget alone must leave a cut."""
        for budget in self.budgets:
            choice = self.cuts.solve(budget.weights, pins=pins).choice
            if float(np.dot(budget.weights, self.axes(choice))) > budget.limit + _CLOSE * abs(budget.limit):
                raise InfeasibleCut()

    def _stages(self, choice: CutChoice) -> _Floats:
        amounts, crosses = np.array(self.axes(choice)), self._crosses(choice)
        return np.array([float(amounts @ stage.prices) + stage.crossing * crosses for stage in self.stages])

    def _overruns(self, choice: CutChoice) -> _Floats:
        amounts = np.array(self.axes(choice))
        return np.array([float(amounts @ budget.weights) - budget.limit for budget in self.budgets])

    def _crosses(self, choice: CutChoice) -> bool:
        return len(choice.edge_ops) < self.op_count


def _within(choice: CutChoice, pins: Pins) -> bool:
    taken = {*choice.uplink.items(), *choice.downlink.items()}
    return pins.edge <= choice.edge_ops and pins.cloud.isdisjoint(choice.edge_ops) and pins.closed.isdisjoint(taken)
