"""A decision log as the run that it tells of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import InvalidRequest
from nodes.chooser import Choice, ChoiceRequest, Exchange, Outcome, Refused, Transfer
from nodes.steering import PolicySetting
from partitioner.plan import Prediction
from scheduler.decision_log import Declined
from scheduler.decision_record import AdmissionBounds, Observed
from simulations.replay.logged_run import LoggedRun, logged_run
from tests.simulations.replay.logs import EDGE, SPLIT, TABLE, decided, lines_of

REFUSED = Refused(102.5, "net", "bytes", 1, 900, 0.3, 2, "camera", "alarm", "", "", "shed", asked_s=0.3)


def asked(request_id: str, came_s: float, **facts: Any) -> ChoiceRequest:
    return ChoiceRequest(TABLE, "bytes", 1, 50_000, request_id=request_id, came_s=came_s, now_s=came_s + 0.1, **facts)


def read(*items: object) -> LoggedRun:
    return logged_run(lines_of(items))


def test_a_request_has_its_arrival_its_whole_deadline_and_its_end() -> None:
    run = read(
        AdmissionBounds(128, 16, 0.9),
        Observed(0.02, 100.0),
        decided(asked("a", 101.0, remaining_s=0.4, priority=3, client="camera", request_class="alarm"), SPLIT),
        Outcome("a", edge_queue_s=0.1, edge_s=0.2, finished_by="edge"),
    )
    (one,) = run.requests
    assert (one.asked.came_s, one.asked.priority, one.asked.client, one.asked.request_class) == (
        1.0,
        3,
        "camera",
        "alarm",
    )
    assert one.asked.timeout_s == pytest.approx(0.5)
    assert one.placed is not None
    assert (one.placed.entry, one.placed.seed) == (SPLIT, 7)
    assert one.took_s == pytest.approx(0.3)
    assert (run.bounds, run.span_s, run.seed) == (AdmissionBounds(128, 16, 0.9), 1.0, 7)


def test_a_clients_own_deadline_is_told_apart_from_the_one_that_held() -> None:
    facts = asked("a", 101.0, remaining_s=0.1, asked_s=0.9), asked("b", 102.0, remaining_s=0.1)
    run = read(*(decided(one, SPLIT) for one in facts), replace(REFUSED, asked_s=None))
    assert [one.asked.asked_s for one in run.requests] == [0.9, None, None]
    assert [one.asked.timeout_s for one in run.requests] == [pytest.approx(0.2), pytest.approx(0.2), 0.3]


def test_in_a_log_of_before_the_deadline_that_held_is_taken_for_the_clients() -> None:
    lines = [dict(line) for line in lines_of([decided(asked("a", 101.0, remaining_s=0.1), SPLIT), REFUSED])]
    for line in lines:
        line.get("request", line).pop("asked_s", None)
    assert [one.asked.asked_s for one in logged_run(lines).requests] == [pytest.approx(0.2), 0.3]


def test_a_request_was_placed_where_it_was_sent_to_learn_the_link() -> None:
    explored = Choice(EDGE, Prediction.of(0.0, 0.0, 0.0, 0.0), "to learn the link")
    (one,) = read(decided(asked("a", 101.0), SPLIT)._replace(explored=explored)).requests
    assert one.placed is not None
    assert one.placed.entry == EDGE


def test_who_was_refused_came_too_and_all_stand_in_the_order_of_their_arrival() -> None:
    run = read(decided(asked("late", 103.0), SPLIT), REFUSED, decided(asked("early", 101.0), SPLIT))
    assert [one.asked.came_s for one in run.requests] == [0.0, 1.5, 2.0]
    refused = run.requests[1]
    assert (refused.placed, refused.failure, refused.asked.timeout_s, refused.ended) == (None, "shed", 0.3, True)
    assert not run.requests[0].ended  # the log stops before


def test_a_request_that_a_policy_declined_came_once_and_was_refused() -> None:
    facts = asked("declined", 102.4)
    declined = Declined(1, 7, PolicySetting("latency"), "all requests", facts, None, "shed")
    run = read(decided(asked("a", 101.0), SPLIT), declined, replace(REFUSED, request_id="declined"))
    assert [(one.asked.came_s, one.failure) for one in run.requests] == [(0.0, ""), (1.5, "shed")]


def test_what_showed_the_link_is_kept_with_its_moment() -> None:
    run = read(
        decided(asked("a", 100.0), SPLIT),
        Observed(Transfer("up", 5000, 0.01), 101.0),
        Observed(Exchange(10, 20, 0.03), 102.0),
        Observed(0.02, 103.0),
    )
    assert [(one.at_s, one.what) for one in run.seen] == [
        (1.0, Transfer("up", 5000, 0.01)), (2.0, Exchange(10, 20, 0.03)), (3.0, 0.02)
    ]  # fmt: skip


def test_a_log_of_an_older_version_is_refused_with_what_it_lacks() -> None:
    with pytest.raises(InvalidRequest, match=r"does not say when requests came.*version 1.*record one"):
        logged_run([{"kind": "log", "version": 1}])


def test_a_log_without_a_decision_and_one_of_two_starts_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="no decision"):
        read(REFUSED)
    with pytest.raises(InvalidRequest, match="clock that starts over"):
        read(decided(asked("a", 9000.0), SPLIT), decided(asked("b", 10.0), SPLIT))
    with pytest.raises(InvalidRequest, match="clock that starts over"):  # up for less than ten minutes before
        read(decided(asked("a", 470.0), SPLIT), decided(asked("b", 30.0), SPLIT))
    with pytest.raises(InvalidRequest, match="clock that starts over"):
        read(decided(asked("a", 470.0), SPLIT), Observed(0.02, 30.0))


@pytest.mark.parametrize("lacking", ["request", "choice", "policy", "table"])
def test_a_line_that_lacks_something_is_named(lacking: str) -> None:
    lines = [dict(line) for line in lines_of([decided(asked("a", 1.0), SPLIT)])]
    del lines[-1][lacking]
    with pytest.raises(InvalidRequest, match='line of kind "decision"'):
        logged_run(lines)
