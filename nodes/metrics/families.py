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
from nodes.protocol.send_window import Credit

__all__ = [
    "MOST_REPLICAS", "batch_families", "counter", "credit_families", "engine_family", "execution_families", "gauge",
    "histogram", "process_families",
]  # fmt: skip

Labels = tuple[str, ...]
K = TypeVar("K", bound=tuple[str, ...])
# Beyond so many connected replicas, the newest ones count together: a scrape stays of bounded size.
MOST_REPLICAS = 32
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


def engine_family(held_bytes: int) -> Metric:
    """What engines hold of weights: the same on both sides."""
    said = (
        "Copies of weights that engines hold besides the models' own: on a GPU, or laid out for onnxruntime's kernels."
    )
    return gauge("isthmus_engine_held_bytes", said, held_bytes)


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


def credit_families(credits: Mapping[str, Credit]) -> tuple[Metric, ...]:
    """Of the streams to replicas, what their acknowledgements allow. credits: by replica id, the oldest first."""
    under_way, windows = dict[tuple[str], float](), dict[tuple[str], float]()
    for place, (replica, one) in enumerate(credits.items()):
        key = (replica if place < MOST_REPLICAS else "others",)
        under_way[key] = under_way.get(key, 0.0) + one.under_way_bytes
        windows[key] = windows.get(key, 0.0) + one.window_bytes
    sent = "Boundary tensors sent to a replica that it has not acknowledged; more than 32 replicas: the rest as others."
    most = "How many bytes may be under way to a replica now, by what its acknowledgements tell of the path."
    return (
        gauge("isthmus_upload_under_way_bytes", sent, under_way, ("replica",)),
        gauge("isthmus_upload_window_bytes", most, windows, ("replica",)),
    )


def process_families(status: NodeStatus) -> tuple[Metric, ...]:
    """What the process knows of itself, besides prometheus_client's process_ metrics."""
    return (
        gauge("isthmus_event_loop_tasks", "Tasks of the node's event loop.", status.tasks),
        gauge("isthmus_threads", "Threads of the node's process that Python knows of.", status.threads),
    )
