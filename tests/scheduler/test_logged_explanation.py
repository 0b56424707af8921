"""A request explained from a log on disk, as the edge itself would have explained it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.cli.explanation import explanation_lines
from isthmus.errors import InvalidRequest, NotFound
from nodes.chooser import Choice, ChoiceRequest, Outcome, Refused
from nodes.steering import PolicySetting
from partitioner.link import Link
from partitioner.plan import Prediction
from partitioner.plan_table import Correction, PlanTable
from scheduler.decision_log import Decision, Declined
from scheduler.decision_record import RecordEncoder, decision_record, explanation, request_from_record
from scheduler.logged_explanation import logged_explanation

Requests = Callable[..., ChoiceRequest]
LATENCY = PolicySetting("latency")
REFUSED = Refused(3.0, "net", "tensor", 2, 0, None, 0, "", "", "", "", "shed", "r3", asked_s=None)
OUTCOME = Outcome("r1", 0.001, 0.03, 0.02, 0.0, 0.006, 0.012, 44_000, "cloud", 1, replica="a")


@pytest.fixture
def decision(request_of: Requests, link: Link) -> Decision:
    request = request_of(request_id="r1", corrections={"none": Correction(2.0)})
    entry = request.table.entries[0]
    choice = Choice(entry, Prediction.of(0.1, 0.2, 0.3, 0.4), "because")
    return Decision(1, 7, LATENCY, "all requests", request, link, choice)


@pytest.fixture
def declined(request_of: Requests, link: Link) -> Declined:
    return Declined(2, 7, LATENCY, "all requests", request_of(request_id="r2"), link, "too late")


def kept(folder: Path, *files: Iterable[object]) -> Path:
    """The files of a log, that many items each."""
    encoder = RecordEncoder()
    for number, items in enumerate(files):
        text = encoder.begin_file() + b"".join(map(encoder.encode, items))
        (folder / f"{number}.jsonl").write_bytes(text)
    return folder


def as_read(told: object) -> object:
    return json.loads(json.dumps(told))


def test_each_kind_of_end_is_told_as_the_edge_tells_it(tmp_path: Path, decision: Decision, declined: Declined) -> None:
    log = kept(tmp_path, [decision, declined], [Outcome("r0"), OUTCOME, REFUSED])
    assert as_read(logged_explanation(log, "r1")) == as_read(explanation(decision, OUTCOME))
    assert as_read(logged_explanation(log, "r2")) == as_read(explanation(declined, None))
    assert as_read(logged_explanation(log, "r3")) == as_read(explanation(REFUSED, None))
    assert as_read(logged_explanation(log / "0.jsonl", "r1")) == as_read(explanation(decision, None))


def test_what_a_policy_refused_is_told_with_what_it_was_asked(tmp_path: Path, declined: Declined) -> None:
    """Live a line of the refusal follows, which knows no candidates."""
    log = kept(tmp_path, [declined, replace(REFUSED, request_id="r2")])
    for request_id in ("r2", ""):
        assert as_read(logged_explanation(log, request_id)) == as_read(explanation(declined, None))


def test_without_an_id_the_newest_is_told_with_its_own_outcome(tmp_path: Path, decision: Decision) -> None:
    older = decision._replace(request=decision.request._replace(request_id="older"))
    outcome = Outcome("older", edge_s=9.0)
    log = kept(tmp_path, [older, decision, OUTCOME, outcome])
    assert as_read(logged_explanation(log, "")) == as_read(explanation(decision, OUTCOME))


def test_a_decision_of_a_form_that_no_plan_takes_is_told_without_any(tmp_path: Path, declined: Declined) -> None:
    files = declined.request.table
    table = PlanTable(files.model, files.model_digest, files.entries[:1])
    alone = declined._replace(request=declined.request._replace(form="tensor", table=table))
    assert logged_explanation(kept(tmp_path, [alone]), "r2")["candidates"] == []


def test_a_log_of_before_refusals_had_ids_and_outcomes_replicas_is_read(tmp_path: Path, decision: Decision) -> None:
    log = kept(tmp_path, [REFUSED, decision, OUTCOME])
    lines = [json.loads(line) for line in (log / "0.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("replica" if line["kind"] == "outcome" else "request_id" if line["kind"] == "refused" else "", None)
    (log / "0.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    told = logged_explanation(log, "r1")
    assert told["outcome"]["finished_by"] == "cloud"
    assert list(explanation_lines(told))[-3].endswith("finished by the cloud")


def test_what_no_log_tells_of_is_said_to_be_so(tmp_path: Path, decision: Decision) -> None:
    with pytest.raises(NotFound, match=r"no \*\.jsonl"):
        logged_explanation(tmp_path, "r1")
    log = kept(tmp_path, [])
    for request_id, told in (("r1", "request 'r1'"), ("", "a request")):
        with pytest.raises(NotFound, match=f"does not tell of {told}"):
            logged_explanation(log, request_id)
    (tmp_path / "0.jsonl").write_text('{"kind": "log", "version": 5}\n{"kind": "decision"}\n')
    with pytest.raises(InvalidRequest, match="none of a decision log"):
        logged_explanation(log, "r1")


def test_in_logs_of_before_finishing_goes_by_the_factor_of_the_edge_s_stage(decision: Decision) -> None:
    record = json.loads(json.dumps(decision_record(decision)))
    assert request_from_record(record, decision.request.table)[0].corrections == {"none": Correction(2.0)}
    record["corrections"] = {"none": [2.0, 1.0, 1.0, 0.0]}
    read, _ = request_from_record(record, decision.request.table)
    assert read.corrections == {"none": Correction(2.0, finish=2.0)}
