"""What became of an edge's requests, for Prometheus: each is counted once, where its answer or its error leaves.

No label holds what a client made up: a model that is not there has no name here, so that nobody makes series at will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from isthmus.errors import (
    CloudUnavailable,
    DeadlineUnreachable,
    Draining,
    InvalidInput,
    NotFound,
    Overloaded,
    Shed,
    TooLarge,
    grpc_status_name,
)
from nodes.gateway import UNDECIDED, Decided, InferResult, StageTimings
from nodes.metrics.histogram import RATIO_BOUNDS, SECONDS_BOUNDS, Histogram, HistogramCount

__all__ = ["REFUSALS", "STAGES", "RequestCounts", "RequestKind", "RequestLedger"]

_Key = TypeVar("_Key")

STAGES = ("edge_queue", "edge", "uplink", "cloud_queue", "cloud", "downlink")

# Most specific first: the first that matches is the reason.
_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (TooLarge, "too_large"),
    (InvalidInput, "invalid_request"),
    (NotFound, "not_found"),
    (CloudUnavailable, "cloud_unavailable"),
    (Draining, "draining"),
    (DeadlineUnreachable, "deadline"),
    (Shed, "shed"),
    (Overloaded, "overloaded"),
)
REFUSALS = tuple(reason for _, reason in _REFUSALS)
"""Why requests are refused. All are told from the start: Prometheus sees no increase in a series that begins."""


class RequestKind(NamedTuple):
    """What requests are told apart by. model: "" where none of that name is served. policy, plan_kind: see
    `Decided`. finished_by: "" where there was no answer. outcome: "ok", or the name of the gRPC status."""

    model: str
    policy: str
    plan_kind: str
    finished_by: str
    outcome: str


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Everything at one moment. refusals: by reason. stages: by stage, of answers. seconds: of answers, by model and
    policy. errors: of predictions, by plan kind."""

    requests: Mapping[RequestKind, int]
    refusals: Mapping[str, int]
    stages: Mapping[str, HistogramCount]
    seconds: Mapping[tuple[str, str], HistogramCount]
    errors: Mapping[str, HistogramCount]


class RequestLedger:
    """One gateway's. Used on its event loop; a request costs some microseconds (`answered`)."""

    def __init__(self) -> None:
        self._requests: dict[RequestKind, int] = {}
        self._refusals = dict.fromkeys(REFUSALS, 0)
        self._stages = {stage: Histogram(SECONDS_BOUNDS) for stage in STAGES}
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._errors: dict[str, Histogram] = {}

    def answered(self, model: str, result: InferResult, elapsed_s: float) -> None:
        """An answer. elapsed_s: from the message to the answer's."""
        kind = RequestKind(model, result.policy, result.plan_kind, result.finished_by, "ok")
        self._requests[kind] = self._requests.get(kind, 0) + 1
        timings = result.timings
        for stage, took_s in zip(STAGES, _stages(timings), strict=True):
            self._stages[stage].observe(took_s)
        _of(self._seconds, (model, result.policy), SECONDS_BOUNDS).observe(elapsed_s)
        measured_s = timings.total_s - result.waited_s
        # One that went on elsewhere was not predicted to; what such requests come to has counters of its own.
        if measured_s > 0 and (result.plan_kind == "edge-only") == (result.finished_by == "edge"):
            error = abs(result.predicted.total_s - measured_s) / measured_s
            _of(self._errors, result.plan_kind, RATIO_BOUNDS).observe(error)

    def failed(self, model: str, error: BaseException, decided: Decided = UNDECIDED) -> None:
        """An error, or the client's leaving. model: as configured, "" where it is not."""
        kind = RequestKind(model, decided.policy, decided.plan_kind, "", grpc_status_name(error))
        self._requests[kind] = self._requests.get(kind, 0) + 1
        reason = next((reason for refusal, reason in _REFUSALS if isinstance(error, refusal)), None)
        if reason is not None:
            self._refusals[reason] += 1

    def counts(self) -> RequestCounts:
        """As they are now; later requests do not change them."""
        return RequestCounts(
            dict(self._requests),
            dict(self._refusals),
            {stage: one.count() for stage, one in self._stages.items()},
            {key: one.count() for key, one in self._seconds.items()},
            {kind: one.count() for kind, one in self._errors.items()},
        )


def _of(histograms: dict[_Key, Histogram], key: _Key, bounds: tuple[float, ...]) -> Histogram:
    found = histograms.get(key)
    if found is None:
        found = histograms[key] = Histogram(bounds)
    return found


def _stages(timings: StageTimings) -> tuple[float, ...]:
    return (
        timings.edge_queue_s, timings.edge_s, timings.uplink_s, timings.cloud_queue_s, timings.cloud_s,
        timings.downlink_s,
    )  # fmt: skip
