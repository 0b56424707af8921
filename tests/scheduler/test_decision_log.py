"""The last decisions."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from nodes.chooser import ChoiceRequest
from partitioner.link import Link
from scheduler.decision_log import DecisionLog
from scheduler.policies.latency import LatencyPolicy

Requests = Callable[..., ChoiceRequest]


def test_only_the_last_decisions_are_kept(request_of: Requests, link: Link) -> None:
    log = DecisionLog(capacity=3)
    for _ in range(5):
        log.record("latency", request_of(), link, LatencyPolicy().choose(request_of(), link, Random(0)))
    assert [decision.number for decision in log.last()] == [3, 4, 5]
    assert [decision.number for decision in log.last(2)] == [4, 5]
    assert log.last(0) == ()
    assert log.count == 5


def test_alternatives_come_quickest_first_and_begin_with_the_choice(request_of: Requests, link: Link) -> None:
    choice = LatencyPolicy().choose(request_of(), link, Random(0))
    alternatives = DecisionLog().record("latency", request_of(), link, choice).alternatives()
    assert [one.name for one in alternatives] == [
        "split at blocks.4 (zstd)", "cloud-only (png)", "edge-only", "cloud-only (file)", "cloud-only (raw)",
    ]  # fmt: skip
    assert alternatives[0].plan_id == choice.entry.plan.plan_id
    assert alternatives[0].total_s == pytest.approx(choice.predicted.total_s)


def test_a_decision_replays_to_the_same_choice(request_of: Requests, link: Link) -> None:
    choice = LatencyPolicy().choose(request_of(), link, Random(0))
    decision = DecisionLog().record("latency", request_of(), link, choice)
    assert LatencyPolicy().choose(decision.request, decision.link, Random(0)) == choice
