"""An edge's view as the JSON document that docs/sight.md describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodes.admission import AdmissionCounts
from nodes.chooser import Outcome
from nodes.replica_state import ReplicaState
from nodes.sight.document import sight_json
from nodes.sight.failures import Failure
from nodes.sight.view import EdgeView
from nodes.steering import EVERYTHING, Canary, PolicySetting, Scope, ShadowReport, Steering
from tests.nodes.sight.views import HOSTILE, ended, failed, reading, view

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sight.md"


def document(found: EdgeView) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(sight_json(found))
    return told


def full_view() -> EdgeView:
    """One in which every list has something."""
    steering = Steering(
        {EVERYTHING: PolicySetting("latency"), Scope("net", "alarm"): PolicySetting("slo", {"probability": 0.9})},
        PolicySetting("energy"), Canary(PolicySetting("cost"), 0.1),
    )  # fmt: skip
    replica = ReplicaState(HOSTILE, "10.0.0.1:1", ("net",), "made 5 Mbit/s", "ready", 0.01, 1.0, 1, 100, 3)
    requests = (ended(), ended("cloud-only"), failed())
    return view(
        reading(2.0, *requests, answered=2, failed=1), steering=steering, shadow_report=ShadowReport(3, 2, 0, 0.1),
        replicas=(replica,), failures=(Failure(1.0, "net", "UNAVAILABLE", HOSTILE),),
    )  # fmt: skip


def test_times_are_ages() -> None:
    told = document(full_view())
    assert told["edge"]["up_s"] == 1004.0
    assert told["fleet"]["replicas"][0]["heard_age_s"] == 3.0
    assert told["failures"][0]["age_s"] == 3.0
    assert told["history"]["moments"][0]["age_s"] == 2.0


def test_requests_that_wait_for_their_turn_stand_with_those_that_wait() -> None:
    now = document(view(waiting=16, admission=AdmissionCounts(12, 4, 0.3)))["now"]
    assert (now["waiting"], now["before_turn"], now["turn_wait_s"]) == (16, 12, 0.3)


def test_what_is_emulated_is_said_once() -> None:
    assert document(full_view())["emulated"] == ["the link to the cloud is made made 5 Mbit/s"]
    assert document(view())["emulated"] == []
    assert document(view(paced=True))["emulated"] == ["cloud replicas sleep for the times of a profile (engine: paced)"]


def test_plans_have_shares_of_the_latest_requests() -> None:
    plans = document(full_view())["plans"]
    assert [(one["name"], one["count"], one["failed"]) for one in plans] == [("edge-only", 2, 1), ("cloud-only", 1, 0)]
    assert sum(one["share"] for one in plans) == 1.0


def test_the_cut_of_a_model_is_what_most_of_its_requests_took() -> None:
    assert document(full_view())["models"][0]["cut"] == {
        "plan_id": "id of edge-only", "name": "edge-only", "count": 2, "of": 3,
    }  # fmt: skip
    assert document(view())["models"][0]["cut"] is None


def test_requests_come_newest_first_with_what_became_of_them() -> None:
    newest, _, oldest = document(full_view())["requests"]
    assert (newest["failure"], newest["error"], newest["measured_s"]) == ("the deadline passed", None, 0.0)
    assert (oldest["plan"], oldest["measured_s"], oldest["predicted_s"], oldest["error"]) == (
        "edge-only",
        0.2,
        0.1,
        -0.5,
    )


def test_rates_are_of_the_last_ten_seconds() -> None:
    moments = [reading(2.0 * number, answered=10 * number) for number in range(1, 11)]
    assert document(view(*moments))["now"]["answered_per_s"] == 5.0
    assert document(view())["now"]["answered_per_s"] == 0.0


def test_a_request_that_waits_for_its_answer_is_in_none_of_it() -> None:
    outcome = Outcome("r", edge_s=0.1, finished_by="edge", wire_bytes=7, sendings=2)
    told = document(view(reading(2.0, ended(outcome=outcome))))["requests"]
    assert [(one["id"], one["wire_bytes"], one["sendings"]) for one in told] == [("r", 7, 2)]


def names(value: object) -> Iterator[str]:
    """Every key, but for those that are plans' names."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from () if key == "plans" and not isinstance(one, list) else names(one)
    elif isinstance(value, list):
        for one in value:
            yield from names(one)


def test_the_docs_say_what_every_name_means() -> None:
    documented = set(re.findall(r"`([a-z0-9_]+)`", PAGE.read_text()))
    assert {name for name in names(document(full_view())) if name not in documented} == set()
