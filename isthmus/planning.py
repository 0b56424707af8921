"""Planning with what only a process can do: a clock for the search, and measured accuracy for lossy codecs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from nodes.measure.accuracy_budget import accuracy_table
from partitioner.accuracy_rule import AccuracyTable
from partitioner.frontier import Frontier, frontier_of
from partitioner.model import Model
from partitioner.partition import BestPlan, best_plan, plans_to_compare
from partitioner.plan import Plan
from partitioner.setting import Setting

__all__ = ["SEARCH_LIMIT_S", "Planner", "time_is_over"]

SEARCH_LIMIT_S = 10.0


def time_is_over(limit_s: float) -> Callable[[], bool]:
    """Says whether so many seconds have passed since this call: what a search asks."""
    end = time.monotonic() + limit_s
    return lambda: time.monotonic() >= end


@dataclass(frozen=True)
class Planner:
    """Plans of one model. accuracy_budget: the most that lossy codecs may lose, measured on calibration inputs."""

    model: Model
    given: Setting
    accuracy_budget: float | None = None

    def frontier(self) -> Frontier:
        """The frontier, all of whose plans keep to the budget."""
        return frontier_of(
            self.model,
            self._within_budget(lambda setting: [entry.plan for entry in frontier_of(self.model, setting).plans]),
        )

    def others(self) -> tuple[Plan, ...]:
        """Edge-only and cloud-only, to compare with; lossless under a budget."""
        lossless = self.given.costing.lossless or self.accuracy_budget is not None
        return plans_to_compare(self.model, replace(self.given, costing=replace(self.given.costing, lossless=lossless)))

    def best(self, objective: str | Mapping[str, float], limit_s: float = SEARCH_LIMIT_S) -> BestPlan:
        """The best plan, after so many seconds of search at most."""

        def solve(setting: Setting) -> BestPlan:
            return best_plan(self.model, setting, objective, time_is_over(limit_s))

        return solve(self._within_budget(lambda setting: [solve(setting).plan]))

    def _within_budget(self, solve: Callable[[Setting], Sequence[Plan]]) -> Setting:
        if self.accuracy_budget is None:
            return self.given

        def under(table: AccuracyTable) -> Setting:
            return replace(self.given, costing=replace(self.given.costing, accuracy=table))

        codecs = self.given.costing.codecs
        return under(accuracy_table(self.model, lambda table: solve(under(table)), codecs, self.accuracy_budget))
