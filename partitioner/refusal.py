"""Why no cut keeps to the constraints: the fewest of them that already contradict each other, in one line."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from isthmus.errors import InfeasibleCut
from isthmus.units import format_size
from partitioner.axis_costs import three_axes
from partitioner.constrained_choice import ConstrainedChoice, secrets_sent
from partitioner.constraints import Constraints, pinned
from partitioner.graph import ModelGraph
from partitioner.memory import MemoryModel
from partitioner.objectives import Objective, Stage
from partitioner.parametric_problem import ParametricProblem
from partitioner.weighted_cuts import Pins, WeightedCuts

__all__ = ["Rules", "refusal"]

_PRIVACY, _CLOUD = "privacy", "a model that requires the cloud"
_ANYTHING = Objective("anything", "", (Stage(),))
_REMEDY = "relax one of them"


@dataclass(frozen=True)
class Rules:
    """All that a cut must keep to. problem: without any of it. secret: the tensors of `problem` that must not cross.

    measured: `problem` with the codecs alone that an accuracy budget allows, None without one; `budget`: its words.
    """

    problem: ParametricProblem
    graph: ModelGraph
    constraints: Constraints
    batch: int
    secret: frozenset[str] = field(default_factory=frozenset)
    cloud_required: bool = False
    measured: ParametricProblem | None = None
    budget: str = ""

    def parts(self) -> dict[str, Constraints]:
        """The constraints one by one; privacy, the need of the cloud and accuracy are not in `Constraints`."""
        more = {_PRIVACY: bool(self.secret), _CLOUD: self.cloud_required, self.budget: self.measured is not None}
        return {**{name: Constraints() for name, is_set in more.items() if is_set}, **self.constraints.parts()}

    def choice_under(self, names: tuple[str, ...], *, budgets: bool = True) -> ConstrainedChoice:
        """The cuts that keep to these parts alone."""
        problem = self.measured if self.measured is not None and self.budget in names else self.problem
        tensors = problem.tensors
        if _PRIVACY in names:
            tensors = tuple(replace(t, uplink=()) if t.name in self.secret else t for t in tensors)
        joined = Constraints()
        for name in names:
            joined = joined.joined(self.parts()[name])
        if not budgets:
            joined = joined.without_budgets()
        problem = replace(problem, tensors=tensors, cloud_required=_CLOUD in names)
        return ConstrainedChoice(problem, self.graph, joined, self.batch)


def refusal(rules: Rules, is_over: Callable[[], bool]) -> InfeasibleCut:
    """The error that names the smallest set of constraints that no cut keeps to, and what they would need.

    Sets are tried while time is left: once it is over, all of them are blamed together.
    """
    parts = rules.parts()
    for size in range(1, len(parts) + 1):
        for names in itertools.combinations(parts, size):
            if not is_over() and _is_infeasible(rules.choice_under(names), is_over):
                return _explained(rules, names)
    if not parts:
        return InfeasibleCut()
    return InfeasibleCut("constraints", "no cut keeps to them all", remedy=_REMEDY)


def _is_infeasible(choice: ConstrainedChoice, is_over: Callable[[], bool]) -> bool:
    """Whether it is proven: a search that was stopped with nothing found has a bound yet, and proves nothing."""
    try:
        return choice.best(_ANYTHING, is_over).bound == math.inf
    except InfeasibleCut:
        return True


def _explained(rules: Rules, names: tuple[str, ...]) -> InfeasibleCut:
    budgets = [name for name in names if rules.parts()[name].has_budget]
    others = " and ".join(name for name in names if name not in budgets)
    if len(budgets) == 1:
        need = _need(rules, names, rules.parts()[budgets[0]], others)
        if need:
            return InfeasibleCut(budgets[0], need, remedy=_REMEDY if others else "allow more")
    if not budgets and (secrets := _secrets_of_best(rules.choice_under(names))):
        problem = f"the cloud could tell the batch size from {secrets[0]!r} alone, which must stay on the edge"
        remedy = "keep a later op on the edge, or give the model a fixed batch"
        return InfeasibleCut(" and ".join(names), problem, remedy=remedy)
    return InfeasibleCut(
        " and ".join(names), "no cut keeps to " + ("both" if len(names) == 2 else "all"), remedy=_REMEDY
    )


def _secrets_of_best(choice: ConstrainedChoice) -> list[str]:
    """What a cut that nothing else forbids would send only to tell the batch size."""
    problem = pinned(choice.problem, choice.graph, choice.constraints)
    try:
        cut = WeightedCuts(problem, three_axes(1.0)).solve((1.0, 1.0, 1.0)).choice
    except InfeasibleCut:
        return []
    return secrets_sent(problem, choice.graph, cut.edge_ops)


def _need(rules: Rules, names: tuple[str, ...], budget: Constraints, others: str) -> str:
    """What the other constraints need at least of the one budget; empty where that bound does not tell."""
    free = rules.choice_under(names, budgets=False)
    problem = pinned(free.problem, free.graph, free.constraints)
    memory = MemoryModel(rules.graph, rules.batch)
    if budget.wire_bytes < math.inf:
        cut = WeightedCuts(problem, three_axes(1.0)).solve((0.0, 1.0, 0.0)).choice
        least = cut.costs.uplink_bytes + cut.costs.downlink_bytes
        return f"the cuts left by {others} send {_told(least, budget.wire_bytes)} at least" if others else ""
    side = "edge" if budget.edge_memory_bytes < math.inf else "cloud"
    forced = _forced(problem, rules.graph, side)
    least = memory.edge_at_least(forced) if side == "edge" else memory.cloud_at_least(forced)
    limit = min(budget.edge_memory_bytes, budget.cloud_memory_bytes)
    if least <= limit:
        return ""
    if not others:
        return f"even the inputs need {_told(least, limit)}"
    where = "on the edge" if side == "edge" else "in the cloud"
    alone = memory.edge(forced) if side == "edge" else memory.cloud(frozenset(memory.weights_of) - forced)
    words = _told(least, limit) + ("" if alone == least else " at least")
    return f"the ops kept {where} by {others} need {words}"


def _told(need_bytes: float, limit_bytes: float) -> str:
    """The need in as many digits as tell it from the limit."""
    digits = next((n for n in range(3, 16) if format_size(need_bytes, n) != format_size(limit_bytes, n)), 16)
    return format_size(need_bytes, digits)


def _forced(problem: ParametricProblem, graph: ModelGraph, side: str) -> frozenset[str]:
    """The ops that every cut has on that side: those that nothing allows on the other."""
    cuts = WeightedCuts(problem, three_axes(1.0))

    def may_leave(op: str) -> bool:
        """Whether some cut has it on the other side."""
        pins = Pins(cloud=frozenset({op})) if side == "edge" else Pins(edge=frozenset({op}))
        try:
            cuts.solve((1.0, 1.0, 1.0), pins=pins)
        except InfeasibleCut:
            return False
        return True

    return frozenset(op.name for op in graph.ops if not may_leave(op.name))
