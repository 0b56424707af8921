"""Numbers as Prometheus' metric families: one function a kind, so that what a metric is stands in one line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from nodes.engine_queue import BatchCounts
from nodes.execution_ledger import ExecutionCounts
from nodes.metrics.histogram import HistogramCount
from nodes.node_status import NodeStatus

__all__ = ["batch_families", "counter", "execution_families", "gauge", "histogram", "process_families"]

Labels = tuple[str, ...]
K = TypeVar("K", bound=tuple[str, ...])
_UNEXECUTED = ("expired_unexecuted", "cancelled_unexecuted")


def gauge(name: str, said: str, values: float | Mapping[K, float] | None, labels: Labels = ()) -> Metric:
    """Values of now, by the values of `labels`; no sample where none is known."""
    family = GaugeMetricFamily(name, said, labels=labels)
    if isinstance(values, Mapping):
        for key, value in values.items():
            family.add_metric(key, value)
    elif values is not None:
        family.add_metric((), values)
    return family


def counter(name: str, said: str, values: float | Mapping[K, float], labels: Labels = ()) -> Metric:
    """Something that only grows, by the values of `labels`. name: without "_total"."""
    family = CounterMetricFamily(name, said, labels=labels)
    if isinstance(values, Mapping):
        for key, value in values.items():
            family.add_metric(key, value)
    else:
        family.add_metric((), values)
    return family


def histogram(name: str, said: str, counts: Mapping[K, HistogramCount], labels: Labels) -> Metric:
    """Observations by size, by the values of `labels`."""
    family = HistogramMetricFamily(name, said, labels=labels)
    for key, one in counts.items():
        bounds = (*(format(bound, "g") for bound in one.bounds), "+Inf")
        family.add_metric(key, list(zip(bounds, itertools.accumulate(one.counts), strict=True)), one.sum)
    return family


def batch_families(stage: str, counts: BatchCounts) -> tuple[Metric, ...]:
    """Of one worker, its batches. stage: "prefix" or "suffix"."""
    size = SummaryMetricFamily(f"isthmus_{stage}_batch_requests", f"Requests in a batch of the {stage} worker.")
    size.add_metric((), counts.batches, counts.requests)
    busy = f"Seconds that the {stage} worker was busy with batches."
    return size, counter(f"isthmus_{stage}_busy_seconds", busy, counts.busy_s)


def execution_families(stages: Mapping[str, ExecutionCounts]) -> tuple[Metric, ...]:
    """What became of work, by stage."""
    results = {
        (stage, result): float(getattr(counts, result))
        for stage, counts in stages.items()
        for result in ("executed", *_UNEXECUTED)
    }
    late = {(stage,): float(counts.executed_after_deadline) for stage, counts in stages.items()}
    return (
        counter(
            "isthmus_executions",
            "Pieces of work, by what became of them: executed, or dropped unexecuted as expired or cancelled.",
            results,
            ("stage", "result"),
        ),
        counter(
            "isthmus_executed_after_deadline",
            "Pieces of work that began after their deadline. Stays 0.",
            late,
            ("stage",),
        ),
    )


def process_families(status: NodeStatus) -> tuple[Metric, ...]:
    """What the process knows of itself, besides prometheus_client's process_ metrics."""
    return (
        gauge("isthmus_event_loop_tasks", "Tasks of the node's event loop.", status.tasks),
        gauge("isthmus_threads", "Threads of the node's process that Python knows of.", status.threads),
    )
