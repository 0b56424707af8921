"""The best of some candidates by what their halves were measured to take; sums of op times only nominate them.

A sum of op times is off by several percent of a half, and by more once an engine fuses. So the cut that is proven best
by op times is compared with edge-only, cloud-only and the cuts of the frontier of which a half was measured. Each takes
the codecs that are the best for it, and keeps to all that a plan must keep to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from isthmus.errors import InfeasibleCut
from partitioner.constrained_choice import ConstrainedChoice
from partitioner.constraints import Constraints, pinned
from partitioner.cost_model import ModelFacts
from partitioner.measured_halves import measured_halves_s
from partitioner.objectives import Objective
from partitioner.parametric_model import ParametricModel, parametric_model
from partitioner.parametric_problem import CutChoice
from partitioner.setting import Setting
from partitioner.supported_cuts import supported_cuts

__all__ = ["MeasuredChoice", "best_by_halves"]


@dataclass(frozen=True, slots=True)
class MeasuredChoice:
    """The best of so many candidates, and its value by measured halves; is_best_by_ops: by op times it is that, too."""

    choice: CutChoice
    value: float
    candidates: int
    is_best_by_ops: bool

    def gap_words(self, by_ops: str) -> str:
        """What is known to be no better. by_ops: the gap of the best by op times, in words."""
        of = "" if self.is_best_by_ops else " (of another plan)"
        return f"0 among {self.candidates} candidates by measured halves; by op times{of} {by_ops}"


def best_by_halves(
    model: ModelFacts, setting: Setting, objective: Objective, by_ops: CutChoice, is_over: Callable[[], bool]
) -> MeasuredChoice:
    """The best candidate under an objective of one stage. by_ops: the best by op times, which wins ties.

    A half that was not measured is the sum of its ops. is_over: ends the search for codecs where limits need one.
    """
    costing = replace(setting.costing, edge_load=1.0, cloud_load=1.0)
    parametric = parametric_model(model, setting.edge, setting.cloud, costing)
    maker = _Candidates(model, replace(setting, costing=costing), objective, parametric)
    found = {maker.model_ops(by_ops): by_ops}
    for cut in maker.cuts():
        if cut not in found and (choice := maker.best_of(cut, is_over)) is not None:
            found[cut] = choice
    values = {cut: maker.value(choice) for cut, choice in found.items()}
    best = min(values, key=values.__getitem__)
    return MeasuredChoice(found[best], values[best], len(found), found[best] is by_ops)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """setting: that of idle devices; the objective has the loads in its prices."""

    model: ModelFacts
    setting: Setting
    objective: Objective
    parametric: ParametricModel

    def cuts(self) -> Iterator[frozenset[str]]:
        """Edge-only, cloud-only, and each cut of the frontier that has a measured half; perhaps more than once."""
        yield frozenset(op.name for op in self.model.graph.ops)
        yield frozenset()
        link, constraints = self.setting.link, self.setting.costing.constraints
        problem = pinned(self.parametric.problem, self.model.graph, constraints)
        for found in supported_cuts(problem, link.uplink_bps / link.downlink_bps):
            cut = self.model_ops(found.choice)
            if measured_halves_s(self.model, self.setting, cut):
                yield cut

    def best_of(self, cut: frozenset[str], is_over: Callable[[], bool]) -> CutChoice | None:
        """That cut in its best codecs; None where it breaks what a plan must keep to."""
        costing, graph = self.setting.costing, self.model.graph
        this = Constraints(edge_ops=cut, cloud_ops=frozenset(op.name for op in graph.ops) - cut)
        rules = costing.constraints.joined(this)
        try:
            return (
                ConstrainedChoice(self.parametric.problem, graph, rules, costing.batch)
                .best(self.objective, is_over)
                .choice
            )
        except InfeasibleCut:
            return None

    def value(self, choice: CutChoice) -> float:
        """Of a choice, with the measured times of its halves in place of those of their ops."""
        cut, costs = self.model_ops(choice), self.parametric.costs
        rest = costs.model_ops(costs.cloud_s) - cut
        halves_s = measured_halves_s(self.model, self.setting, cut)
        vector = replace(
            choice.costs,
            edge_s=_with_half(choice.costs.edge_s, (costs.edge_s[op] for op in cut), halves_s.get("prefix")),
            cloud_s=_with_half(choice.costs.cloud_s, (costs.cloud_s[op] for op in rest), halves_s.get("suffix")),
        )
        return self.objective.value(vector, len(choice.edge_ops) < len(self.parametric.problem.ops))

    def model_ops(self, choice: CutChoice) -> frozenset[str]:
        """The cut of the model, without preprocessing."""
        return self.parametric.costs.model_ops(choice.edge_ops)


def _with_half(side_s: float, ops_s: Iterable[float], measured_s: float | None) -> float:
    """Seconds of a side, those of its ops replaced by the half's where it was measured."""
    return side_s if measured_s is None else max(0.0, math.fsum((side_s, measured_s, *(-one for one in ops_s))))
