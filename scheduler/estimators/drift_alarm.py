"""When the measured time of a plan's stage is so wrong, for so long, that it should be measured again.

A cost that is off is corrected at once (`drift`), so predictions hold. But which cuts are on offer at all was decided
by what was measured, and no correction changes that.

The alarm is a trigger with two bounds (Schmitt 1938) over a forgetting mean of the logarithm of "took over said": it is
raised where the mean stays beyond the outer bound for HELD_S and HELD_REQUESTS without a break, and cleared where it
comes back inside the inner one. Between the bounds nothing changes, so that a stage at a bound does not ring at each
request.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from nodes.chooser import StageTimes
from nodes.drift import Drift, DriftStage
from scheduler.estimators.drift import LEAST_S, stage_ratio
from scheduler.policies.reason import plan_name

__all__ = ["CLEARED_WITHIN", "HELD_REQUESTS", "HELD_S", "RAISED_BEYOND", "SILENT_S", "DriftAlarm"]

RAISED_BEYOND, CLEARED_WITHIN = 1.5, 1.25
"""Factors either way: a stage that takes two thirds of what was said is as far off as one that takes half as much
again."""

HELD_S, HELD_REQUESTS = 60.0, 30
SILENT_S = 900.0
"""Of a stage that no request took for so long nothing is claimed."""

# The last 20 requests carry about 90 % of the weight: one that was slow raises nothing.
_KEPT = 0.9


@dataclass(slots=True)
class _Stage:
    """total, weight: of a forgetting mean of logarithms. beyond_s: since when it is outside, None while it is not;
    beyond: requests since then."""

    model: str
    plan_id: str
    plan_name: str
    stage: DriftStage
    total: float = 0.0
    weight: float = 0.0
    seen_s: float = 0.0
    beyond_s: float | None = None
    beyond: int = 0
    raised: bool = False

    def add(self, ratio: float, now_s: float) -> None:
        self.total, self.weight = self.total * _KEPT + math.log(ratio), self.weight * _KEPT + 1.0
        self.seen_s = now_s
        off = abs(self.total / self.weight)
        if off > math.log(RAISED_BEYOND):
            self.beyond_s, self.beyond = now_s if self.beyond_s is None else self.beyond_s, self.beyond + 1
            self.raised |= now_s - self.beyond_s >= HELD_S and self.beyond >= HELD_REQUESTS
        elif not self.raised or off < math.log(CLEARED_WITHIN):
            self.beyond_s, self.beyond, self.raised = None, 0, False

    def drift(self) -> Drift:
        assert self.beyond_s is not None
        factor = math.exp(self.total / self.weight)
        return Drift(self.model, self.plan_id, self.plan_name, self.stage, factor, self.beyond_s)


class DriftAlarm:
    """Hears of answered requests. Deterministic, without a clock: times are readings of one that never goes back."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, DriftStage], _Stage] = {}

    def observe(self, times: StageTimes, now_s: float) -> None:
        """One request was answered."""
        costs, batch = times.entry.costs, times.batch
        self._add(times, "edge", stage_ratio(times.edge_s, costs.edge.at(batch), LEAST_S), now_s)
        if times.cloud_s is not None:
            self._add(times, "cloud", stage_ratio(times.cloud_s, costs.cloud.at(batch), LEAST_S), now_s)

    def _add(self, times: StageTimes, stage: DriftStage, ratio: float | None, now_s: float) -> None:
        if ratio is None:
            return
        plan = times.entry.plan
        key = plan.plan_id, stage
        if key not in self._stages:
            self._stages[key] = _Stage(plan.model, plan.plan_id, plan_name(plan), stage)
        self._stages[key].add(ratio, now_s)

    def drifts(self, now_s: float) -> tuple[Drift, ...]:
        """The alarms that stand, by plan and stage."""
        self._stages = {key: one for key, one in self._stages.items() if now_s - one.seen_s <= SILENT_S}
        return tuple(self._stages[key].drift() for key in sorted(self._stages) if self._stages[key].raised)

    def forget_edge(self, plan_ids: Collection[str]) -> None:
        """The edge's stages of these plans have other costs from now on."""
        for plan_id in plan_ids:
            self._stages.pop((plan_id, "edge"), None)
