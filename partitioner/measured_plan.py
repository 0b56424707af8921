"""Plans whose times are those of whole segments, with how far they can be trusted: what a choice may rest on.

A sum of op times is good enough to nominate cuts. It is off by several percent of a segment, which is more than plans
that nearly tie differ by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from partitioner.condition import Condition, CostVector
from partitioner.cost_model import ModelFacts
from partitioner.measurements import Measurement
from partitioner.partition import plan_for_cut
from partitioner.plan import Plan
from partitioner.plan_costs import cost_vector, idle_cut
from partitioner.plan_making import quickest_crossing
from partitioner.setting import Setting

__all__ = ["MeasuredPlan", "measured_plan"]


@dataclass(frozen=True, slots=True)
class MeasuredPlan:
    """A plan and its costs on idle devices.

    edge_spread_s, cloud_spread_s: by how much the repeats of its segments differed.
    """

    plan: Plan
    costs: CostVector
    edge_spread_s: float
    cloud_spread_s: float

    def total_s(self, condition: Condition) -> float:
        """The predicted latency under `condition`."""
        return self.costs.latency_s(condition, crosses=self.plan.kind != "edge-only")


def measured_plan(
    model: ModelFacts, setting: Setting, edge_ops: Iterable[str], codecs: Mapping[str, str] | None = None
) -> MeasuredPlan:
    """The plan that `plan_for_cut` makes, with the segment times of the setting's profiles in place of op times.

    Preprocessing and coding are taken as there; loads in the costing are left out. Raises InvalidProfile where a
    segment was not measured, else as `plan_for_cut` does.
    """
    plan = plan_for_cut(model, setting, edge_ops, codecs)
    costs, cut = idle_cut(model, setting, plan)
    crossing = quickest_crossing(model, costs, cut, {tensor.tensor: tensor.codec for tensor in plan.boundary})
    prefix, suffix = _segments(model, setting, plan)
    sent = tuple(crossing.boundary.values()), tuple(crossing.downlink.values())
    vector = cost_vector(costs, cut, sent, prefix.seconds, suffix.seconds)
    return MeasuredPlan(plan, vector, prefix.spread_s, suffix.spread_s)


def _segments(model: ModelFacts, setting: Setting, plan: Plan) -> tuple[Measurement, Measurement]:
    """The times of both halves; none for a half without ops."""
    nothing, batch = Measurement(0.0, 0.0, 1), setting.costing.batch
    has_prefix, has_suffix = bool(plan.edge_ops), len(plan.edge_ops) < len(model.graph.ops)
    prefix = setting.edge.segment_time(model.digest, "prefix", plan.edge_ops, batch) if has_prefix else nothing
    suffix = setting.cloud.segment_time(model.digest, "suffix", plan.edge_ops, batch) if has_suffix else nothing
    return prefix, suffix
