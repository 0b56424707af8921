"""The last decisions, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from isthmus.errors import NotFound
from nodes.chooser import ChoiceRequest, Outcome, Refused
from nodes.steering import PolicySetting
from partitioner.link import Link
from scheduler.decision_log import Decision, DecisionLog, Declined
from scheduler.policies.latency import LatencyPolicy

Requests = Callable[..., ChoiceRequest]


def decision_of(number: int, request: ChoiceRequest, link: Link) -> Decision:
    choice = LatencyPolicy().choose(request, link, Random(0))
    return Decision(number, 0, PolicySetting("latency"), "all requests", request, link, choice)


def test_only_the_last_decisions_and_their_outcomes_are_kept(request_of: Requests, link: Link) -> None:
    log = DecisionLog(capacity=3)
    for number in range(1, 6):
        log.record(decision_of(number, request_of(request_id=f"r{number}"), link))
        log.record_outcome(Outcome(f"r{number}", edge_s=number))
    assert [decision.number for decision in log.last()] == [3, 4, 5]
    assert [decision.number for decision in log.last(2)] == [4, 5]
    assert log.last(0) == ()
    assert log.count == 5
    decision, outcome = log.find("r3")
    assert isinstance(decision, Decision)
    assert (decision.number, outcome) == (3, Outcome("r3", edge_s=3))
    with pytest.raises(NotFound, match=r"'r2'.*5 were decided, the last 3"):
        log.find("r2")
    assert [outcome.request_id for _, outcome in log.ended(9)] == ["r3", "r4", "r5"]


def test_without_an_id_the_newest_request_is_found(request_of: Requests, link: Link) -> None:
    log = DecisionLog()
    with pytest.raises(NotFound, match="none was decided"):
        log.find("")
    log.record(decision_of(1, request_of(request_id="first"), link))
    log.record(decision_of(2, request_of(request_id="second"), link))
    assert log.find("") == (log.last()[1], None)


def declined_of(request: ChoiceRequest, failure: str = "no plan") -> Declined:
    return Declined(1, 0, PolicySetting("latency"), "all requests", request, None, failure)


def refused_of(request_id: str) -> Refused:
    return Refused(1.0, "net", "bytes", 1, 900, None, 0, "", "", "", "", "shed", request_id, asked_s=None)


def test_refusals_are_kept_apart_so_that_answers_are_not_forgotten(request_of: Requests, link: Link) -> None:
    log = DecisionLog(capacity=2)
    log.record(decision_of(1, request_of(request_id="answered"), link))
    for number in range(5):
        log.record_declined(declined_of(request_of(request_id=f"d{number}")))
        log.record_refused(refused_of(f"d{number}"))
    log.record_refused(refused_of("shed"))
    assert log.find("answered") == (log.last()[0], None)
    assert log.find("d4") == (declined_of(request_of(request_id="d4")), None)
    assert log.find("shed") == log.find("") == (refused_of("shed"), None)
    with pytest.raises(NotFound, match=r"'d3'.*the last 2 are kept, and as many refusals"):
        log.find("d3")
    assert (log.count, log.ended(9)) == (1, ())


def test_the_requests_that_ended_last_are_told_in_the_order_of_their_ends(request_of: Requests, link: Link) -> None:
    log = DecisionLog(capacity=3)
    for number in range(1, 5):
        log.record(decision_of(number, request_of(request_id=f"r{number}"), link))
    for number in (4, 1, 2):  # the first is gone, the third has not ended
        log.record_outcome(Outcome(f"r{number}", edge_s=number))
    assert log.ended_count == 2
    assert [(decision.number, outcome.edge_s) for decision, outcome in log.ended(9)] == [(4, 4), (2, 2)]
    assert [decision.number for decision, _ in log.ended(1)] == [2]
    assert log.ended(0) == log.ended(-3) == ()


def test_an_outcome_of_nobody_is_not_kept(request_of: Requests, link: Link) -> None:
    log = DecisionLog(capacity=1)
    log.record_outcome(Outcome("early"))
    log.record(decision_of(1, request_of(request_id="early"), link))
    assert log.find("early")[1] is None


def test_alternatives_come_quickest_first_and_begin_with_the_choice(request_of: Requests, link: Link) -> None:
    decision = decision_of(1, request_of(), link)
    alternatives = decision.alternatives()
    assert [one.name for one in alternatives] == [
        "split at blocks.4 (zstd)", "cloud-only (png)", "edge-only", "cloud-only (file)", "cloud-only (raw)",
    ]  # fmt: skip
    assert alternatives[0].plan_id == decision.choice.entry.plan.plan_id
    assert alternatives[0].total_s == pytest.approx(decision.choice.predicted.total_s)
