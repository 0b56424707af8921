"""What a cloud replica tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric

from nodes.cloud_models import ModelCounts
from nodes.engine_queue import BatchCounts
from nodes.execution_ledger import ExecutionCounts
from nodes.metrics.families import batch_families, counter, execution_families, gauge, histogram, process_families
from nodes.metrics.histogram import HistogramCount
from nodes.node_status import NodeStatus

__all__ = ["CloudFacts", "cloud_families"]


@dataclass(frozen=True, slots=True)
class CloudFacts:
    """A replica at one moment. waiting: requests that wait or run. held_limit_bytes: of what `status` says is held.
    arriving_bytes: of requests that are not whole. queue_s: of work. offered_s: of all work that has come, see
    `CloudNode.offered_s`. stages: of answers, by stage."""

    status: NodeStatus
    waiting: int
    waiting_limit: int
    held_limit_bytes: int
    arriving_bytes: int
    queue_s: float
    offered_s: float
    stages: Mapping[str, HistogramCount]
    suffixes: BatchCounts
    executions: ExecutionCounts
    models: ModelCounts


def cloud_families(facts: CloudFacts) -> Iterator[Metric]:
    """Every metric of a replica but the process' own."""
    stages = {(stage,): one for stage, one in facts.stages.items()}
    yield gauge("isthmus_cloud_queue_seconds", "Wait that a new request is predicted to find here.", facts.queue_s)
    yield counter(
        "isthmus_cloud_offered_seconds", "Seconds of work that requests brought, at the pace of the best batch, those "
        "refused included: what autoscaling goes by.", facts.offered_s,
    )  # fmt: skip
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
    yield counter("isthmus_model_loads", "Models that were loaded.", facts.models.loads)
    yield counter("isthmus_model_evictions", "Models that made room for others (cloud.model_memory).",
                  facts.models.evictions)  # fmt: skip
    yield from batch_families("suffix", facts.suffixes)
    yield from execution_families({"suffix": facts.executions})
    yield from process_families(facts.status)
