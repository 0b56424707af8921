"""What deserves an operator's attention, and what does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nodes.drift import Drift, RemeasureState
from nodes.gateway import ModelState
from nodes.replica_state import ReplicaState, Standing
from nodes.sight.attention import attention
from nodes.sight.failures import Failure
from nodes.sight.history import Reading
from nodes.sight.view import EdgeView
from tests.nodes.sight.views import ended, reading, view


def said(found: EdgeView) -> list[tuple[str, str]]:
    return [(notice.level, notice.what) for notice in attention(found)]


QUIET = (reading(2.0),)
ALONE = (reading(2.0, answered=1, replicas_usable=0),)


def with_fleet(
    *standings: Standing, heard: bool = True, readings: Sequence[Reading] = QUIET, **facts: Any
) -> EdgeView:  # fmt: skip
    plain = view(*readings)
    replicas = tuple(
        ReplicaState(f"c{number}", "10.0.0.1:1", (), "", standing) for number, standing in enumerate(standings)
    )
    about = replace(plain.facts, registry="10.0.0.1:8100")
    return replace(plain, facts=about, registry_heard=heard, replicas=replicas, **facts)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    busy = view(reading(2.0, *(ended(took_s=0.1) for _ in range(30)), answered=1000, mistaken=500))
    assert said(busy) == said(with_fleet("ready", "ready")) == []


@pytest.mark.parametrize(("failed", "answered", "level"), [(3, 200, "alarm"), (2, 2, "warning"), (3, 1000, "warning")])
def test_failures_are_an_alarm_where_they_are_many_and_a_share(failed: int, answered: int, level: str) -> None:
    reasons = (Failure(1.0, "net", "UNAVAILABLE", "no replica"), Failure(2.0, "", "NOT_FOUND", "a client's own fault"))
    found = view(reading(2.0, failed=failed, answered=answered), failures=reasons)
    ((is_level, what),) = said(found)
    assert (is_level, "UNAVAILABLE: no replica" in what, "own fault" in what) == (level, True, False)
    assert what.startswith(f"{failed} of {failed + answered} requests failed")


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        (with_fleet(heard=False), "alarm", "registry at 10.0.0.1:8100 was not heard of"),
        (with_fleet(readings=ALONE), "alarm", "No cloud replica takes requests (0 known)"),
        (with_fleet("set aside", "draining"), "alarm", "No cloud replica takes requests (2 known)"),
        (with_fleet("connecting", started_s=0.0), "warning", "takes requests yet (1 known)"),
        (with_fleet("ready", registry_away_s=30.0), "warning", "registry at 10.0.0.1:8100 no longer answers"),
        (with_fleet("ready", "on trial", "set aside"), "warning", "1 of 3 replicas take no requests"),
        (view(reading(2.0, resumed_on_edge=4)), "warning", "4 requests were finished on the edge"),
        (view(waiting=103), "alarm", "103 of at most 128 requests wait"),
        (view(kept_bytes=800), "alarm", "Kept boundary tensors take 80%"),
        (view(log_lost=7), "warning", "could not keep 7 records"),
        (view(ready=False), "alarm", "takes no new requests"),
        (view(models=(ModelState("net", "", "UNAVAILABLE", "unloaded"),)), "warning", "net is unavailable (unloaded)"),
        (view(reading(2.0, *(ended() for _ in range(20)))), "warning", "off by 50% in the median; requests take long"),
    ],
)
def test_each_trouble_is_said_once(found: EdgeView, level: str, words: str) -> None:
    ((is_level, what),) = said(found)
    assert (is_level, words in what) == (level, True), what


def test_nobody_misses_a_cloud_that_has_scaled_to_zero() -> None:
    last = reading(2.0, answered=9), reading(4.0, answered=9, replicas_usable=0)
    assert said(with_fleet(readings=last)) == []
    assert [level for level, _ in said(with_fleet(readings=(*last, reading(6.0, answered=10, replicas_usable=0))))] == [
        "alarm"
    ]


def test_a_registry_that_starts_anew_is_not_worth_a_word() -> None:
    assert said(with_fleet("ready", registry_away_s=29.0)) == []


def test_few_requests_say_nothing_of_predictions() -> None:
    assert said(view(reading(2.0, *(ended() for _ in range(19))))) == []


def test_alarms_come_first() -> None:
    assert [level for level, _ in said(view(log_lost=1, waiting=128))] == ["alarm", "warning"]


EDGE = Drift("net", "p1", "split at a (zstd)", "edge", 1.6, 0.0)


def test_a_stage_that_drifted_is_said_once_with_its_worst_plan() -> None:
    quicker = replace(EDGE, plan_id="p2", plan_name="edge-only", factor=0.4)
    cloud = replace(EDGE, stage="cloud", factor=2.0)
    (edge_says, cloud_says) = attention(view(drifts=(EDGE, quicker, cloud)))
    assert "The edge takes 0.4 times as long as was measured for edge-only of net, and 1 other plans" in edge_says.what
    assert "isthmus remeasure" in edge_says.look
    assert cloud_says.what.startswith("The cloud takes 2 times as long")


def test_while_it_is_measured_again_nobody_is_told_to_order_it() -> None:
    (notice,) = attention(view(drifts=(EDGE,), remeasured=RemeasureState("measuring")))
    assert notice.look == "It is being measured again, as soon as no request is here."
