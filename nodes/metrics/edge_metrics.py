"""What an edge tells Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import Metric

from nodes.admission import AdmissionCounts
from nodes.engine_queue import BatchCounts
from nodes.execution_ledger import ExecutionCounts
from nodes.metrics.families import (
    batch_families,
    counter,
    credit_families,
    engine_family,
    execution_families,
    gauge,
    histogram,
    process_families,
)
from nodes.metrics.request_ledger import RequestCounts, RequestKind
from nodes.node_status import NodeStatus
from nodes.protocol.send_window import Credit
from nodes.resumption import ResumeCounts
from partitioner.link import Link

__all__ = ["EdgeFacts", "edge_families"]


@dataclass(frozen=True, slots=True)
class EdgeFacts:
    """An edge at one moment.

    client_bytes: of clients' requests and answers. engine_bytes: copies of weights that engines hold.
    usable_replicas: may be asked now. registry_connected: None without a registry. credits: by replica id, the oldest
    connection first. link: None before anything was measured.
    queue_s: wait before a new prefix. admission: who waits for a turn. decisions: by policy and plan kind.
    without_replica: requests that might have used one when none could be asked. executions: by stage. lost_records: of
    the decision log. drifts: alarms that stand, by stage. remeasured: how often plans were measured again.
    """

    status: NodeStatus
    waiting_limit: int
    kept_limit_bytes: int
    client_bytes: int
    client_limit_bytes: int
    engine_bytes: int
    usable_replicas: int
    registry_connected: bool | None
    credits: Mapping[str, Credit]
    link: Link | None
    queue_s: float
    admission: AdmissionCounts
    decisions: Mapping[tuple[str, str], int]
    without_replica: int
    executions: Mapping[str, ExecutionCounts]
    resumes: ResumeCounts
    prefixes: BatchCounts
    requests: RequestCounts
    lost_records: int
    drifts: Mapping[str, int]
    remeasured: int


def edge_families(facts: EdgeFacts) -> Iterator[Metric]:
    """Every metric of an edge but the process' own."""
    yield from _request_families(facts.requests)
    yield counter(
        "isthmus_decisions", "Plans chosen, by who decided, those of requests that failed later included.",
        facts.decisions, ("policy", "plan_kind"),
    )  # fmt: skip
    without = "Requests that might have used a replica, as far as who decides can tell, when none could be asked."
    yield counter("isthmus_requests_without_replica", without, facts.without_replica)
    yield from _link_families(facts.link)
    yield from _holding_families(facts)
    yield from _resume_families(facts.resumes)
    yield from execution_families(facts.executions)
    yield from batch_families("prefix", facts.prefixes)
    yield counter("isthmus_decision_log_lost", "Records that the decision log could not keep.", facts.lost_records)
    yield from _drift_families(facts)
    yield from process_families(facts.status)


def _drift_families(facts: EdgeFacts) -> Iterator[Metric]:
    said = "Plans whose stage has long taken another time than was measured of it."
    yield gauge("isthmus_drifted_plans", said, {(stage,): count for stage, count in facts.drifts.items()}, ("stage",))
    yield counter("isthmus_remeasurements", "How often the edge has measured its plans again.", facts.remeasured)


def _request_families(counts: RequestCounts) -> Iterator[Metric]:
    yield counter(
        "isthmus_requests", "Requests that ended, by how: outcome is ok or the name of the gRPC status.",
        counts.requests, RequestKind._fields,
    )  # fmt: skip
    refusals = {(reason,): float(count) for reason, count in counts.refusals.items()}
    yield counter("isthmus_refusals", "Requests refused, by reason.", refusals, ("reason",))
    yield histogram(
        "isthmus_request_seconds", "From a request's message to its answer's, of answered requests.",
        counts.seconds, ("model", "policy"),
    )  # fmt: skip
    stages = {(stage,): one for stage, one in counts.stages.items()}
    yield histogram(
        "isthmus_request_stage_seconds", "Time of answered requests by stage; the stages are disjoint.",
        stages, ("stage",),
    )  # fmt: skip
    errors = {(kind,): one for kind, one in counts.errors.items()}
    yield histogram(
        "isthmus_prediction_error_ratio",
        "Predicted less measured time over measured time, without sign, of requests that ended where they were to; "
        "from their turn on.",
        errors, ("plan_kind",),
    )  # fmt: skip


def _link_families(link: Link | None) -> Iterator[Metric]:
    values = (None, None, None) if link is None else (link.uplink_bps, link.downlink_bps, link.rtt_s)
    up_bps, down_bps, rtt_s = values
    yield gauge("isthmus_link_uplink_bits_per_second", "Bandwidth to the cloud, as believed.", up_bps)
    yield gauge("isthmus_link_downlink_bits_per_second", "Bandwidth from the cloud, as believed.", down_bps)
    yield gauge("isthmus_link_rtt_seconds", "Round trip to the cloud, as believed.", rtt_s)


def _holding_families(facts: EdgeFacts) -> Iterator[Metric]:
    status = facts.status
    found = "Wait for this device's compute that a request is predicted to find at its turn."
    yield gauge("isthmus_edge_queue_seconds", found, facts.queue_s)
    before = "Of the requests waiting, those whose turn has not come."
    yield gauge("isthmus_requests_before_turn", before, facts.admission.waiting)
    until = "Until all requests before their turn will have had it, at the pace of late."
    yield gauge("isthmus_turn_wait_seconds", until, facts.admission.wait_s)
    yield gauge("isthmus_requests_waiting", "Requests accepted and not answered yet.", status.requests)
    yield gauge("isthmus_requests_waiting_limit", "How many may wait (limits.queue).", facts.waiting_limit)
    kept = "Boundary tensors kept until their answers are in, and inputs that wait for a replica."
    yield gauge("isthmus_kept_bytes", kept, status.held_bytes)
    yield gauge("isthmus_kept_limit_bytes", "How many bytes may be kept (edge.kept_memory).", facts.kept_limit_bytes)
    clients = "Requests of clients, and their answers until they have left."
    yield gauge("isthmus_client_bytes", clients, facts.client_bytes)
    may = "How many bytes those may have together (edge.limits.memory)."
    yield gauge("isthmus_client_limit_bytes", may, facts.client_limit_bytes)
    yield engine_family(facts.engine_bytes)
    yield gauge("isthmus_replicas_connected", "Cloud replicas that plans are prepared on.", status.streams)
    usable = "Connected replicas that may be asked: not draining or silent, circuit breaker closed or due a probe."
    yield gauge("isthmus_replicas_usable", usable, facts.usable_replicas)
    connected = "1 while the fleet registry is there, 0 while it is not; no sample without one."
    yield gauge("isthmus_registry_connected", connected, facts.registry_connected)
    yield from credit_families(facts.credits)


def _resume_families(counts: ResumeCounts) -> Iterator[Metric]:
    yield counter("isthmus_cloud_answers", "Requests answered by the replica that was asked first.", counts.answered)
    resent = "Sendings of boundary tensors again, to another replica or after a plan was offered anew."
    yield counter("isthmus_requests_resent", resent, counts.resent)
    resumed = "Requests finished on the edge because no replica did."
    yield counter("isthmus_requests_resumed_on_edge", resumed, counts.resumed_on_edge)
    late = "Answers of replicas that came after their request had gone on elsewhere."
    yield counter("isthmus_late_answers", late, counts.late_answers)
    hedged = "Requests sent to a second replica though the first had not failed."
    yield counter("isthmus_requests_hedged", hedged, counts.hedged)
    yield counter("isthmus_hedges_won", "Hedged requests that the second replica answered.", counts.hedges_won)
