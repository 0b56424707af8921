"""What became of requests, without a node."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from isthmus.errors import (
    CloudUnavailable,
    ComputeFailed,
    DeadlineExceeded,
    Draining,
    InvalidRequest,
    NotFound,
    Overloaded,
    TooLarge,
)
from nodes.gateway import Decided, InferResult, StageTimings
from nodes.metrics.request_ledger import RequestKind, RequestLedger
from partitioner.plan import Prediction


def answer(plan_kind: str = "split", finished_by: str = "cloud", predicted_s: float = 0.05) -> InferResult:
    """It took 100 ms."""
    timings = StageTimings(0.0, 0.02, 0.03, 0.0, 0.04, 0.01)
    predicted = Prediction.of(predicted_s, 0.0, 0.0, 0.0)
    return InferResult("r", (), "p", timings, 10, finished_by, "because", predicted, plan_kind, "latency")


def test_an_answer_is_counted_by_who_chose_and_who_finished() -> None:
    ledger = RequestLedger()
    ledger.answered("m", answer(), 0.11)
    counts = ledger.counts()
    assert counts.requests == {RequestKind("m", "latency", "split", "cloud", "ok"): 1}
    assert counts.seconds["m", "latency"].sum == 0.11
    assert {stage: one.sum for stage, one in counts.stages.items() if one.sum} == {
        "edge": 0.02, "uplink": 0.03, "cloud": 0.04, "downlink": 0.01,
    }  # fmt: skip


def test_the_error_of_a_prediction_is_a_share_of_what_happened() -> None:
    ledger = RequestLedger()
    ledger.answered("m", answer(predicted_s=0.05), 0.1)
    ledger.answered("m", answer(predicted_s=0.15), 0.1)
    assert ledger.counts().errors["split"].sum == pytest.approx(0.5 + 0.5)


def test_the_wait_for_a_turn_was_not_predicted_and_is_no_error() -> None:
    ledger = RequestLedger()
    ledger.answered("m", replace(answer(predicted_s=0.02), waited_s=0.08), 0.1)
    assert ledger.counts().errors["split"].sum == pytest.approx(0.0)


def test_a_request_that_went_on_elsewhere_was_not_predicted_to() -> None:
    ledger = RequestLedger()
    ledger.answered("m", answer(finished_by="edge"), 0.1)
    assert ledger.counts().errors == {}
    ledger.answered("m", answer("edge-only", finished_by="edge"), 0.1)
    assert set(ledger.counts().errors) == {"edge-only"}


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (InvalidRequest("x", "is wrong"), "INVALID_ARGUMENT", "invalid_request"),
        (TooLarge("edge.limits.tensor", "is too large"), "RESOURCE_EXHAUSTED", "too_large"),
        (Overloaded("full"), "RESOURCE_EXHAUSTED", "overloaded"),
        (NotFound("nobody"), "NOT_FOUND", "not_found"),
        (CloudUnavailable("gone"), "UNAVAILABLE", "cloud_unavailable"),
        (Draining("going"), "UNAVAILABLE", "draining"),
        (DeadlineExceeded("late"), "DEADLINE_EXCEEDED", None),
        (ComputeFailed("broke"), "INTERNAL", None),
        (ZeroDivisionError(), "INTERNAL", None),
        (asyncio.CancelledError(), "CANCELLED", None),
    ],
)
def test_an_error_is_counted_by_its_status_and_a_refusal_by_its_reason(
    error: BaseException, outcome: str, reason: str | None
) -> None:
    ledger = RequestLedger()
    ledger.failed("m", error)
    counts = ledger.counts()
    assert counts.requests == {RequestKind("m", "none", "none", "", outcome): 1}
    assert {one for one, count in counts.refusals.items() if count} == ({reason} if reason else set())


def test_one_that_fails_on_a_plan_is_counted_under_its_kind_and_whose_choice_it_was() -> None:
    ledger = RequestLedger()
    ledger.failed("m", DeadlineExceeded("late"), Decided("slo (canary)", "split"))
    assert ledger.counts().requests == {RequestKind("m", "slo (canary)", "split", "", "DEADLINE_EXCEEDED"): 1}
