"""A request's record as lines that a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isthmus.cli.explanation import explanation_lines
from isthmus.cli.main import app
from isthmus.errors import DeadlineUnreachable, NotFound
from nodes.chooser import ChoiceRequest, Outcome, Refused
from nodes.steering import PolicySetting, Steering
from partitioner.link import Link
from partitioner.plan_table import PlanTable
from scheduler.decision_record import RecordEncoder, explanation
from scheduler.plan_chooser import PlanChooser
from tests.scheduler.conftest import DIGEST, make_entry
from tests.scheduler.test_plan_chooser import teach

TABLE = PlanTable(
    "net", DIGEST, (make_entry(edge_s=0.101), make_entry("blocks.4", "zstd", edge_s=0.03, size=40_000, cloud_s=0.005))
)


def lines(
    outcome: Outcome | None, *, linked: bool = True, steer: Callable[[Steering], Steering] | None = None,
    waited_s: float = 0.0,
) -> list[str]:  # fmt: skip
    chooser = PlanChooser(explore_share=0.0)
    if linked:
        teach(chooser, Link.of("20mbps", "20ms"), 0.0)
    if steer is not None:
        chooser.steer(steer(chooser.steering))
    chooser.choose(
        ChoiceRequest(
            TABLE, "bytes", 1, 250_000, 1.5, request_id="r1", request_class="alarm", now_s=waited_s, came_s=0.0
        )
    )
    return list(explanation_lines(explanation(chooser.log.last(1)[0], outcome)))


def test_all_plans_stand_with_their_parts_and_the_chosen_one_is_marked() -> None:
    said = lines(Outcome("r1", 0.001, 0.03, 0.02, 0.0, 0.006, 0.012, 44_000, "cloud", 1))
    assert said[0] == "request r1, decision 1, model net"
    assert said[1] == "policy: latency for all requests"
    assert said[2] == "asked: a file of 250 kB, batch 1, 1.5 s until the deadline, class alarm"
    assert said[3].startswith("believed: 20 Mbit/s up, 20 Mbit/s down (±")
    (split,) = (line for line in said if line.startswith("> "))
    assert split.split()[1:10] == ["split", "at", "blocks.4", "(zstd)", "30.0", "26.0", "5.0", "11.6", "0.0"]
    (edge,) = (line for line in said if line.startswith("  edge-only"))
    assert edge.split()[-2] == "101.0"
    assert said[-3] == "happened: 69 ms, -5% of the predicted 72.6 ms, finished by the cloud"
    assert said[-2].split(", ")[1] == "edge 30.0 ms"
    assert said[-1] == "  44 kB crossed"


def test_which_replica_answered_is_told() -> None:
    said = lines(Outcome("r1", 0.001, 0.03, 0.02, 0.0, 0.006, 0.012, 44_000, "cloud", 1, replica="2ce34dd5646b"))
    assert said[-3].endswith("finished by the cloud (2ce34dd5646b)")


def test_a_failed_a_resent_and_an_unanswered_request_are_told_apart() -> None:
    assert lines(None)[-1] == "happened: no answer yet"
    assert lines(Outcome("r1", failure="the deadline passed"))[-1] == "happened: failed: the deadline passed"
    assert lines(Outcome("r1", edge_s=0.2, wire_bytes=80_000, finished_by="edge", sendings=2))[-1] == (
        "  80 kB crossed, sent 2 times"
    )


def test_a_request_that_its_policy_refused_is_told_with_every_plan() -> None:
    chooser = PlanChooser()
    teach(chooser, Link.of("20mbps", "20ms"), 0.0)
    with pytest.raises(DeadlineUnreachable) as refused:
        chooser.choose(ChoiceRequest(TABLE, "bytes", 1, 250_000, 0.01, request_id="r1"))
    said = list(explanation_lines(explanation(*chooser.log.find("r1"))))
    assert said[:3] == [
        "request r1, decision 1, model net", "policy: latency for all requests",
        "asked: a file of 250 kB, batch 1, 10 ms until the deadline",
    ]  # fmt: skip
    assert said[3].startswith("believed: 20 Mbit/s up")
    assert said[4:6] == [f"refused: {refused.value}", ""]
    assert [line[:11] for line in said[8:]] == ["  split at ", "  edge-only"]


def test_a_request_that_no_policy_was_asked_for_is_told_in_words() -> None:
    refused = Refused(1.0, "net", "tensor", 2, 0, None, 0, "", "", "", "", "shed", "r1", asked_s=None)
    assert list(explanation_lines(explanation(refused, None))) == [
        "request r1, model net", "asked: tensors, batch 2, no deadline", "refused before any policy was asked: shed",
    ]  # fmt: skip


def test_the_wait_for_a_turn_is_told_apart_and_was_not_predicted() -> None:
    said = lines(Outcome("r1", 0.501, 0.03, 0.02, 0.0, 0.006, 0.012, 44_000, "cloud", 1), waited_s=0.5)
    assert said[-3] == (
        "happened: 569 ms, 500 ms of it before its turn, -5% of the predicted 72.6 ms, finished by the cloud"
    )


def test_a_link_that_nobody_measured_is_said_to_be_so() -> None:
    assert (
        lines(None, linked=False)[3]
        == "believed: link not measured yet, edge queue 0 s, uplink queue 0 s, cloud queue 0 s"
    )


@pytest.mark.parametrize(
    ("name", "said"), [("edge-only", "edge-only: 101 ms"), ("fixed:nothing", "no plan: ")], ids=["a plan", "none"]
)
def test_the_shadow_is_told(name: str, said: str) -> None:
    (line,) = (
        one for one in lines(None, steer=lambda now: replace(now, shadow=PolicySetting(name))) if "shadow" in one
    )
    assert said in line


def test_a_log_tells_of_a_request_without_any_edge(tmp_path: Path) -> None:
    refused = Refused(1.0, "net", "tensor", 2, 0, None, 0, "", "", "", "", "shed", "r1", asked_s=None)
    encoder = RecordEncoder()
    (tmp_path / "1.jsonl").write_bytes(encoder.begin_file() + encoder.encode(refused))
    told = CliRunner().invoke(app, ["explain", "r1", "--log", str(tmp_path)])
    assert told.stdout.splitlines() == list(explanation_lines(explanation(refused, None)))
    told = CliRunner().invoke(app, ["explain", "r1", "--json", "--log", str(tmp_path)])
    assert json.loads(told.stdout) == explanation(refused, None)
    assert isinstance(CliRunner().invoke(app, ["explain", "r2", "--log", str(tmp_path)]).exception, NotFound)
