"""The frontier of a model between two devices: all plans that are the best under some condition.

Only the round trip is not an axis of it. With F paid by every plan but edge-only, the best plan is edge-only, or it is
the best of the others, which F makes dearer by the same: so whatever is best at some F > 0 is edge-only or best at F =
0. The envelope at F = 0 and edge-only are the frontier for every round trip; within limits, those of the plans that
keep to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from isthmus.errors import InfeasibleCut, InvalidPlan
from partitioner.condition import Condition, CostVector
from partitioner.constrained_choice import ConstrainedChoice, NothingInTime
from partitioner.cost_model import ModelFacts
from partitioner.parametric_model import ParametricModel, parametric_model
from partitioner.parametric_problem import CutChoice
from partitioner.partition import why_infeasible
from partitioner.plain_json import STRICT, read_json, write_json
from partitioner.plan import InputForm, Plan
from partitioner.plan_making import chosen_crossing, make_plan, provenance_of
from partitioner.setting import Setting

__all__ = ["Frontier", "FrontierPlan", "frontier_of"]


@dataclass(frozen=True, slots=True)
class FrontierPlan:
    """A plan of the frontier (without a prediction: it has no link), its costs for a request of as many items as the
    frontier's provenance says, and where it wins.

    region: the corners of the convex polygon of weights under which it is the best, each the relative prices of an edge
    second, a wire byte and a cloud second; empty for edge-only where it wins by the round trip alone.
    """

    __pydantic_config__ = STRICT
    plan: Plan
    costs: CostVector
    region: tuple[tuple[float, float, float], ...]

    def total_s(self, condition: Condition) -> float:
        """The predicted latency under `condition`."""
        return self.costs.latency_s(condition, crosses=self.plan.kind != "edge-only")


@dataclass(frozen=True, slots=True)
class Frontier:
    """Every plan that is the best for some edge load, bandwidth, round trip and cloud load; those with most edge ops
    first.

    downlink_ratio: uplink over downlink bandwidth, for which it is exact. gap: by which share one that is missing may
    beat these somewhere; 0.0: proven. provenance: where the costs come from.
    Raises InvalidPlan where there is no plan, or one of another model.
    """

    __pydantic_config__ = STRICT
    model: str
    model_digest: str
    form: InputForm
    downlink_ratio: float
    plans: tuple[FrontierPlan, ...]
    gap: float = 0.0
    provenance: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.plans:
            raise InvalidPlan("frontier.plans", "is empty")
        for entry in self.plans:
            if (entry.plan.model_digest, entry.plan.form) != (self.model_digest, self.form):
                raise InvalidPlan("frontier", "holds a plan of another model or form", value=entry.plan.plan_id)

    def best(self, condition: Condition) -> FrontierPlan:
        """The plan of least latency; ties go to the edge.

        Exact within 1e-9, and `gap`, where the uplink is `downlink_ratio` times as fast as the downlink; the best of
        these plans elsewhere.
        """
        return min(self.plans, key=lambda entry: entry.total_s(condition))

    def to_json(self) -> str:
        """`from_json` reads it back equal."""
        return write_json(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Frontier:
        """Raises InvalidPlan naming the key at fault."""
        return read_json(cls, text, InvalidPlan, "frontier")


def frontier_of(model: ModelFacts, setting: Setting, is_over: Callable[[], bool] = lambda: False) -> Frontier:
    """The frontier of `model` between the devices of `setting`.

    Of its link only the ratio of the bandwidths counts, and the loads in its costing are left out. A tensor that
    crosses only to tell the batch size costs nothing, as in the cut problem. is_over: asked now and then where limits
    of memory or of wire bytes need a search; once it says so, what is not proven yet goes into the gap. Raises
    InfeasibleCut as `best_plan` does.
    """
    costing, ratio = setting.costing, setting.link.uplink_bps / setting.link.downlink_bps
    parametric = parametric_model(model, setting.edge, setting.cloud, costing)
    cuts = ConstrainedChoice(parametric.problem, model.graph, costing.constraints, costing.batch)
    try:
        supported, gap = cuts.all_best(ratio, is_over)
    except NothingInTime:
        raise
    except InfeasibleCut:
        raise why_infeasible(model, setting, is_over) from None
    found = [(cut.choice, cut.region) for cut in supported]
    found.extend((choice, ()) for choice in _edge_only(parametric, cuts, found))
    plans = [FrontierPlan(_plan(model, setting, parametric, one), one.costs, region) for one, region in found]
    plans.sort(key=lambda entry: (-len(entry.plan.edge_ops), entry.plan.plan_id))
    any_link = f"any; uplink {ratio:g} times as fast as the downlink"
    provenance = {**provenance_of(model, setting), "link": any_link, "loads": "any"}
    return Frontier(model.name, model.digest, costing.form, ratio, tuple(plans), gap, provenance)


def _edge_only(
    parametric: ParametricModel, cuts: ConstrainedChoice, found: Sequence[tuple[CutChoice, object]]
) -> list[CutChoice]:
    """Edge-only, where it may be and is not there yet."""
    everything = frozenset(op.name for op in parametric.problem.ops)
    if parametric.problem.cloud_required or any(choice.edge_ops == everything for choice, _ in found):
        return []
    choice = parametric.problem.choice(everything, {}, {})
    may_be = choice.costs.edge_s < math.inf and cuts.admits(parametric.costs.model_ops(everything), wire_bytes=0.0)
    return [choice] if may_be else []


def _plan(model: ModelFacts, setting: Setting, parametric: ParametricModel, choice: CutChoice) -> Plan:
    crossing = chosen_crossing(model, parametric.costs, choice)
    plan = make_plan(model, setting, parametric.costs, choice.edge_ops, crossing)
    return replace(plan, predicted=None, provenance={})
