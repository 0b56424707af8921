"""Requests that ended, in a few numbers: how long, by which plan, where the time went, how wrong the prediction was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nodes.sight.base import Ended

__all__ = [
    "PREDICTED", "STAGES", "Latency", "PlanSummary", "PredictionError", "latency", "plan_summaries", "prediction_error",
    "quantile", "stage_means",
]  # fmt: skip

STAGES = ("edge_queue_s", "edge_s", "uplink_s", "cloud_queue_s", "cloud_s", "downlink_s")
"""The parts of what a request took, as an Outcome names them; disjoint."""
PREDICTED = ("edge_s", "uplink_s", "cloud_s", "downlink_s", "overhead_s")
"""The parts of what was predicted, as a Prediction names them."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of answered requests, in seconds: the median and the 95th percentile of what they took on the edge node."""

    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class PredictionError:
    """As shares of what was measured. median: without sign. bias: the median with its sign, below 0 where requests take
    longer than predicted."""

    median: float
    bias: float
    count: int


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """The requests of one plan. count: with those that failed. measured, predicted: mean seconds by stage."""

    model: str
    plan_id: str
    name: str
    kind: str
    form: str
    count: int
    failed: int
    latency: Latency | None
    measured: Mapping[str, float]
    predicted: Mapping[str, float]
    error: PredictionError | None


def latency(requests: Iterable[Ended]) -> Latency | None:
    """Of those that were answered, None without any."""
    took = sorted(one.measured_s for one in requests if not one.failed)
    return Latency(quantile(took, 0.5), quantile(took, 0.95)) if took else None


def prediction_error(requests: Iterable[Ended]) -> PredictionError | None:
    """Of those that ended where they were to, None without any."""
    errors = [error for one in requests if (error := one.error) is not None]
    if not errors:
        return None
    return PredictionError(quantile(sorted(map(abs, errors)), 0.5), quantile(sorted(errors), 0.5), len(errors))


def stage_means(requests: Iterable[Ended]) -> Mapping[str, float]:
    """Mean seconds of each stage over those that were answered, {} without any."""
    answered = [one.outcome for one in requests if not one.failed]
    return _means(answered, STAGES)


def plan_summaries(requests: Iterable[Ended]) -> tuple[PlanSummary, ...]:
    """One for each plan, that of most requests first."""
    by_plan: dict[str, list[Ended]] = {}
    for one in requests:
        by_plan.setdefault(one.plan_id, []).append(one)
    return tuple(sorted(map(_summary, by_plan.values()), key=lambda one: (-one.count, one.name)))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The least of ascending values that so large a share of them does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _summary(requests: Sequence[Ended]) -> PlanSummary:
    one = requests[-1]
    return PlanSummary(
        model=one.model,
        plan_id=one.plan_id,
        name=one.plan_name,
        kind=one.plan_kind,
        form=one.form,
        count=len(requests),
        failed=sum(each.failed for each in requests),
        latency=latency(requests),
        measured=stage_means(requests),
        predicted=_means([each.predicted for each in requests if not each.failed], PREDICTED),
        error=prediction_error(requests),
    )


def _means(values: Sequence[object], names: Sequence[str]) -> Mapping[str, float]:
    if not values:
        return {}
    return {name: math.fsum(getattr(value, name) for value in values) / len(values) for name in names}
