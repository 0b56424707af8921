"""What an edge would choose among measured plans: the policy that serves, asked about a link and loads."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nodes.chooser import ChoiceRequest
from partitioner.condition import Condition
from partitioner.measured_plan import MeasuredPlan
from partitioner.measurements import AffineTime
from partitioner.plan_table import PlanCosts, PlanEntry, PlanTable
from scheduler.policies.latency import LatencyPolicy

__all__ = ["served_choice"]

_POLICY = LatencyPolicy()


def served_choice(plans: Sequence[MeasuredPlan], condition: Condition, seed: int = 0) -> MeasuredPlan:
    """The plan that the latency policy takes on a link that is known: its uncertainty is no part of this."""
    first = plans[0].plan
    table = PlanTable(first.model, first.model_digest, tuple(_entry(plan, condition) for plan in plans))
    chosen = _POLICY.choose(ChoiceRequest(table, first.form, batch=1), condition.link, Random(seed)).entry.plan
    return next(plan for plan in plans if plan.plan.plan_id == chosen.plan_id)


def _entry(plan: MeasuredPlan, condition: Condition) -> PlanEntry:
    costs, nothing = plan.costs, AffineTime(0.0, 0.0)
    return PlanEntry(
        plan.plan,
        PlanCosts(
            edge=AffineTime(costs.edge_s * condition.edge_load, 0.0),
            cloud=AffineTime(costs.cloud_s * condition.cloud_load, 0.0),
            uplink_bytes_fixed=round(costs.uplink_bytes),
            uplink_bytes_per_item=0.0,
            downlink_bytes_fixed=round(costs.downlink_bytes),
            downlink_bytes_per_item=0.0,
            local_finish=nothing,
            edge_spread=_share(plan.edge_spread_s, costs.edge_s),
            cloud_spread=_share(plan.cloud_spread_s, costs.cloud_s),
        ),
    )


def _share(spread_s: float, whole_s: float) -> float:
    return spread_s / whole_s if whole_s else 0.0
