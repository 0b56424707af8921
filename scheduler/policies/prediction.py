"""What each plan is predicted to take for one request: its own stages on the link, and the waits before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import CloudUnavailable, DeadlineExceeded, NotFound
from isthmus.units import format_duration
from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from partitioner.plan import Prediction
from partitioner.plan_table import NO_CORRECTION, PlanEntry

__all__ = ["ASSUMED_LINK", "Candidate", "candidates", "in_time", "predict", "reachable"]

# Stands in where a plan must be predicted and nothing is known of the link: a usual mobile uplink.
ASSUMED_LINK = Link(uplink_bps=10e6, downlink_bps=10e6, rtt_s=0.05)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan and what it is predicted to take for the request, waits included."""

    entry: PlanEntry
    predicted: Prediction

    @property
    def total_s(self) -> float:
        """Seconds from now to the answer."""
        return self.predicted.total_s


def predict(entry: PlanEntry, request: ChoiceRequest, link: Link | None) -> Prediction:
    """The entry's own prediction with the wait before the prefix in `edge_s` and that before the suffix in `cloud_s`,
    and the request's own overhead.

    A plan that leaves nothing to do on the edge (a file that crosses as it came) does not wait there.
    """
    correction = request.corrections.get(entry.plan.plan_id, NO_CORRECTION)
    own = entry.predict(request.batch, request.file_bytes, link or ASSUMED_LINK, correction, request.overhead_s)
    edge_wait_s = request.edge_queue_s if _edge_works(entry) else 0.0
    cloud_wait_s = 0.0 if entry.plan.kind == "edge-only" else request.cloud_queue_s
    if edge_wait_s == 0.0 and cloud_wait_s == 0.0:
        return own
    edge_s, cloud_s = own.edge_s + edge_wait_s, own.cloud_s + cloud_wait_s
    return Prediction.of(edge_s, own.uplink_s, cloud_s, own.downlink_s, own.overhead_s)


def candidates(request: ChoiceRequest, link: Link | None) -> tuple[Candidate, ...]:
    """Every plan that takes this form of input, predicted. Raises NotFound when there is none."""
    entries = request.table.for_form(request.form)
    if not entries:
        raise NotFound(f"model {request.table.model!r} has no plan for input in the {request.form!r} form")
    return tuple(Candidate(entry, predict(entry, request, link)) for entry in entries)


def reachable(request: ChoiceRequest, among: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those that can run now. Raises CloudUnavailable when all of them need the cloud and it is not there."""
    if request.cloud_reachable:
        return tuple(among)
    local = tuple(candidate for candidate in among if candidate.entry.plan.kind == "edge-only")
    if not local:
        raise CloudUnavailable(f"model {request.table.model!r}: the plan needs the cloud, and no replica is reachable")
    return local


def in_time(request: ChoiceRequest, among: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those that are predicted to end within the remaining time. Raises DeadlineExceeded when none is."""
    remaining_s = request.remaining_s
    if remaining_s is None:
        return tuple(among)
    kept = tuple(candidate for candidate in among if candidate.total_s <= remaining_s)
    if not kept:
        quickest = format_duration(min(candidate.total_s for candidate in among))
        left = format_duration(max(0.0, remaining_s))
        raise DeadlineExceeded(f"deadline: {left} are left and the quickest plan takes {quickest}; allow more time")
    return kept


def _edge_works(entry: PlanEntry) -> bool:
    plan = entry.plan
    return plan.kind != "cloud-only" or any(tensor.codec != "file" for tensor in plan.boundary)
