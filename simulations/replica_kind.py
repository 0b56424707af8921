"""What a simulated replica is: how it batches, how fast it is, what it takes; and t(B) of a plan's suffix there."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from nodes.batch_times import BatchTimes, sizes_above_two
from nodes.batching import DEFAULT_LIMITS, BatchGroup, BatchLimits
from nodes.limits import CLOUD_LIMITS
from partitioner.measurements import AffineTime, digest_of_ops
from partitioner.plan_table import Curve, PlanCosts, PlanEntry

__all__ = ["PlanSuffix", "ReplicaKind"]


class PlanSuffix(NamedTuple):
    """A plan's cloud side. group: which suffixes can run as one. times: t(B), decoding and encoding included."""

    group: BatchGroup
    times: BatchTimes


class ReplicaKind:
    """Replicas of one kind share it. speed: 1 is what the plans' costs were measured on, 2 takes half as long."""

    def __init__(
        self, batching: BatchLimits = DEFAULT_LIMITS, speed: float = 1.0, queue: int = CLOUD_LIMITS.queue
    ) -> None:
        """queue: requests without an answer that a replica takes; more are refused."""
        self.batching, self.speed = batching, speed
        self.limits = replace(CLOUD_LIMITS, queue=queue)
        self._suffixes: dict[tuple[str, AffineTime, Curve], PlanSuffix] = {}

    def suffix(self, entry: PlanEntry) -> PlanSuffix:
        """Of that plan, batched where a live one would: by the measured t(B) of its suffix, or, where there is none,
        by the line of its costs. That has the codecs in it, which no batch saves, so that the rule is as strict or
        stricter."""
        key = entry.plan.plan_id, entry.costs.cloud, entry.costs.suffix_s
        known = self._suffixes.get(key)
        if known is None:
            plan = entry.plan
            group = BatchGroup(plan.model_digest, digest_of_ops(plan.edge_ops), plan.cloud_engine, ())
            known = self._suffixes[key] = PlanSuffix(group, self._times(entry.costs).scaled(1.0 / self.speed))
        return known

    def _times(self, costs: PlanCosts) -> BatchTimes:
        most = self.batching.max_batch
        if costs.suffix_s:
            return BatchTimes(costs.suffix_s).up_to(most).with_rest(costs.cloud.at(1))
        return BatchTimes.of({size: costs.cloud.at(size) for size in (1, 2, *sizes_above_two(most))}).up_to(most)
