"""Plans whose cloud side is all that matters."""

from __future__ import annotations

from partitioner.measurements import AffineTime
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import Curve, PlanCosts, PlanEntry

__all__ = ["cloud_entry"]


def cloud_entry(cloud: AffineTime, suffix_s: Curve = ()) -> PlanEntry:
    """Everything runs in the cloud, and takes so long there; suffix_s: see PlanCosts."""
    up, down = (TensorCodec("input", "webp", bytes=1000),), (TensorCodec("logits", "raw", bytes=1000),)
    plan, none = Plan("net", "d" * 64, "bytes", (), up, down, ()), AffineTime(0.0, 0.0)
    return PlanEntry(plan, PlanCosts(none, cloud, 1000, 0.0, 1000, 0.0, none, suffix_s=suffix_s))
