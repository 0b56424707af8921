"""What a cloud replica tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric

from nodes.cloud_models import ModelCounts
from nodes.engine_queue import BatchCounts
from nodes.execution_ledger import ExecutionCounts
from nodes.metrics.families import (
    batch_families,
    counter,
    engine_family,
    execution_families,
    gauge,
    histogram,
    process_families,
)
from nodes.metrics.histogram import HistogramCount
from nodes.node_status import NodeStatus
from nodes.wanted_replicas import WantedReplicas

__all__ = ["CloudFacts", "cloud_families"]

# By what the stream calls it. All are told from the start, as of an edge; what is late or fails is no refusal.
_REFUSALS = {
    "too_large": "TOO_LARGE", "invalid_request": "BAD_TENSOR", "not_found": "UNKNOWN_PLAN", "draining": "DRAINING",
    "overloaded": "OVERLOADED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """A replica at one moment. waiting: requests that wait or run. held_limit_bytes: of what `status` says is held.
    arriving_bytes: of requests that are not whole. queue_s: of work. offered_s: of all work that has come, see
    `CloudNode.offered_s`. rejections: see SegmentService. wanted: None where the number of replicas is fixed. stages:
    of answers, by stage."""

    status: NodeStatus
    waiting: int
    waiting_limit: int
    held_limit_bytes: int
    arriving_bytes: int
    queue_s: float
    offered_s: float
    rejections: Mapping[str, int]
    wanted: WantedReplicas | None
    stages: Mapping[str, HistogramCount]
    suffixes: BatchCounts
    executions: ExecutionCounts
    models: ModelCounts


def cloud_families(facts: CloudFacts) -> Iterator[Metric]:
    """Every metric of a replica but the process' own."""
    stages, wanted = {(stage,): one for stage, one in facts.stages.items()}, facts.wanted
    yield gauge(
        "isthmus_cloud_queue_seconds",
        "Work of requests that waits or runs here, in seconds; without what preparing plans takes.",
        facts.queue_s,
    )
    yield counter(
        "isthmus_cloud_offered_seconds", "Seconds of work that requests brought, at the pace of the best batch, those "
        "refused included: what autoscaling goes by.", facts.offered_s,
    )  # fmt: skip
    yield gauge(
        "isthmus_replicas_wanted", "Replicas that this one's work asks for: autoscaling wants the sum over all; no "
        "sample without it.", None if wanted is None else wanted.share,
    )  # fmt: skip
    yield gauge(
        "isthmus_replicas_limit", "How many replicas there may be (cloud.autoscaling.max_replicas); no sample without "
        "autoscaling.", None if wanted is None else wanted.most,
    )  # fmt: skip
    refused = {(reason,): float(facts.rejections.get(said, 0)) for reason, said in _REFUSALS.items()}
    yield counter("isthmus_refusals", "Requests refused, by reason.", refused, ("reason",))
    yield gauge("isthmus_requests_waiting", "Requests accepted and not answered yet.", facts.waiting)
    yield gauge("isthmus_requests_waiting_limit", "How many may wait (limits.queue).", facts.waiting_limit)
    yield gauge("isthmus_streams", "Streams of edges.", facts.status.streams)
    yield gauge("isthmus_arriving_bytes", "Boundary tensors that have arrived in part.", facts.arriving_bytes)
    yield gauge("isthmus_held_bytes", "What requests have announced, and answers that have not left.",
                facts.status.held_bytes)  # fmt: skip
    yield gauge("isthmus_held_limit_bytes", "How many bytes may be held (limits.memory).", facts.held_limit_bytes)
    yield histogram(
        "isthmus_replica_stage_seconds", "Time of answered requests on this replica by stage; the stages are disjoint.",
        stages, ("stage",),
    )  # fmt: skip
    yield gauge("isthmus_models_held", "Models, each version apart, that are in memory.", facts.models.held)
    yield gauge("isthmus_models_held_bytes", "Weights of the models in memory, as their artifacts have them.",
                facts.models.held_bytes)  # fmt: skip
    yield engine_family(facts.models.engine_bytes)
    yield counter("isthmus_model_loads", "Models that were loaded.", facts.models.loads)
    yield counter("isthmus_model_evictions", "Models that made room for others (cloud.model_memory).",
                  facts.models.evictions)  # fmt: skip
    yield from batch_families("suffix", facts.suffixes)
    yield from execution_families({"suffix": facts.executions})
    yield from process_families(facts.status)
