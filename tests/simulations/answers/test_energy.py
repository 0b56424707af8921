"""What edges and replicas took: also those that did nothing, and nothing of those of which nobody says it."""

from __future__ import annotations

import pytest

from simulations.answers.energy import energy_answers, without_power
from simulations.run_record import EndedRequest, Resource, RunFacts, RunRecord, RunRecorder
from tests.simulations.runs import made_runs


def run_of(energies_j: dict[str, float | None], *requests: EndedRequest) -> RunRecord:
    """Two edges a group, each there for 10 s."""
    recorder = RunRecorder()
    for group, energy_j in energies_j.items():
        for number in range(2):
            recorder.resource(Resource("edge", f"{group}-{number}", group, 1.0, 10.0, 0.1, energy_j))
    for one in requests:
        recorder.add(one)
    return recorder.finish(RunFacts("hand", 1, 10.0))


def test_it_is_told_of_an_edge_and_of_an_answer() -> None:
    asked = EndedRequest(1.0, 0.1, group="shop")
    refused = asked._replace(outcome="refused")
    run = run_of({"shop": 30.0}, asked, asked, asked, refused, asked._replace(group="van"))
    (found,) = energy_answers([run], 0.95)
    assert found.watts is not None
    assert found.per_answer_j is not None
    assert (found.group, found.watts.value, found.per_answer_j.value) == ("shop", 3.0, 20.0)


def test_a_group_without_power_is_named_and_hides_no_other() -> None:
    answers = list(energy_answers([run_of({"shop": 30.0, "van": None})], 0.95))
    assert [(one.group, one.watts is None) for one in answers] == [("shop", False), ("van", True)]
    assert "van" in without_power(answers)
    assert "shop" not in without_power(answers)
    assert without_power(answers[:1]) == without_power(answers[1:]) == ""


def test_edges_that_answered_nothing_took_something_all_the_same() -> None:
    (found,) = energy_answers([run_of({"shop": 30.0})], 0.95)
    assert found.watts is not None
    assert (found.watts.value, found.per_answer_j) == (3.0, None)


def test_several_runs_give_an_interval() -> None:
    found, replicas = energy_answers(made_runs(3), 0.95)
    assert replicas.watts is None  # nobody said it
    assert found.per_answer_j is not None
    assert found.per_answer_j.n == 3
    assert found.per_answer_j.value == pytest.approx(2 * 2.0 * 54 / (600 * 0.98 * 0.9), rel=0.05)


def of_replicas(energies_j: list[float], *requests: EndedRequest) -> RunRecord:
    """A replica that was there for 5 s for each of these."""
    recorder = RunRecorder()
    for number, energy_j in enumerate(energies_j):
        recorder.resource(Resource("replica", str(number), "cloud", 1.0, 5.0, 0.2, energy_j))
    for one in requests:
        recorder.add(one)
    return recorder.finish(RunFacts("hand", 1, 10.0))


def test_of_replicas_it_is_told_while_they_are_there_and_of_what_they_answered() -> None:
    there = EndedRequest(1.0, 0.1, group="shop", replica="0")
    here = there._replace(replica="")
    (found,) = energy_answers([of_replicas([100.0, 60.0], there, there, here, here._replace(outcome="resumed"))], 0.95)
    assert found.watts is not None
    assert found.per_answer_j is not None
    assert (found.title, found.watts.value, found.per_answer_j.value) == ("replica cloud", 16.0, 80.0)


def test_a_run_without_any_replica_took_nothing_of_them() -> None:
    (found,) = energy_answers([of_replicas([]), of_replicas([100.0])], 0.95)
    assert found.watts is not None
    assert (found.watts.value, found.per_answer_j) == (20.0, None)
