"""Planning with what only a process can do: a clock for the search, and measured accuracy for lossy codecs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nodes.engines.allocator import keep_freed_memory
from nodes.measure.accuracy_budget import AccuracyBudget
from partitioner.frontier import Frontier, frontier_of
from partitioner.model import Model
from partitioner.partition import BestPlan, best_plan, plans_to_compare
from partitioner.plan import Plan
from partitioner.plan_table import Accuracy
from partitioner.setting import Setting

__all__ = ["SEARCH_LIMIT_S", "Planner", "accuracy_line", "time_is_over"]

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
        return frontier_of(self.model, self.frontier_setting)

    @cached_property
    def frontier_setting(self) -> Setting:
        """The setting with the codecs that the frontier's plans may use, as measured."""
        return self._within_budget(
            lambda setting: [entry.plan for entry in frontier_of(self.model, setting).plans],
        )

    def others(self) -> tuple[Plan, ...]:
        """Edge-only and cloud-only, to compare with; lossless under a budget."""
        lossless = self.given.costing.lossless or self.accuracy_budget is not None
        return plans_to_compare(self.model, replace(self.given, costing=replace(self.given.costing, lossless=lossless)))

    def best(self, objective: str | Mapping[str, float], limit_s: float = SEARCH_LIMIT_S) -> BestPlan:
        """The best plan, after so many seconds of search at most. Under a budget its provenance says what it loses."""

        def solve(setting: Setting) -> BestPlan:
            return best_plan(self.model, setting, objective, time_is_over(limit_s))

        best = solve(self._within_budget(lambda setting: [solve(setting).plan]))
        return best if self._budget is None else replace(best, plan=self._with_accuracy(best.plan, self._budget))

    @cached_property
    def _budget(self) -> AccuracyBudget | None:
        if self.accuracy_budget is None:
            return None
        keep_freed_memory()  # a third of what the many runs of measuring an accuracy take
        return AccuracyBudget(self.model, self.accuracy_budget)

    def _within_budget(self, solve: Callable[[Setting], Sequence[Plan]]) -> Setting:
        given, budget = self.given, self._budget
        if budget is None:
            return given
        return replace(given, costing=budget.keep(given.costing, lambda one: solve(replace(given, costing=one))))

    def _with_accuracy(self, plan: Plan, budget: AccuracyBudget) -> Plan:
        found = budget.accuracy(plan)
        said = "lossless" if found is None else accuracy_line(found)
        return replace(plan, provenance={**plan.provenance, "accuracy": said})


def accuracy_line(found: Accuracy) -> str:
    """An accuracy in words: what was measured, how sure it is, and on how much."""
    metric = found.metric.replace("_", " ")
    return f"{metric} {found.value:.4f} [{found.low:.4f}, {found.high:.4f}] on {found.n} calibration items"
