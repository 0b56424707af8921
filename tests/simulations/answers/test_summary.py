"""A summary says what the records hold: counted by hand, through JSON, whatever came."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import InvalidInput
from simulations.answers import Prices, Slo, Summary, summary
from simulations.run_record import OUTCOMES, EndedRequest, Resource, RunFacts, RunRecord, RunRecorder
from tests.simulations.runs import made_run, made_runs

SLO = Slo(0.3, 0.95)


def run_of(*ended: EndedRequest, warm_up_s: float = 0.0) -> RunRecord:
    recorder = RunRecorder()
    for one in ended:
        recorder.add(one)
    return recorder.finish(RunFacts("hand", 1, 10.0, warm_up_s))


def test_of_all_requests_those_without_an_answer_kept_nothing() -> None:
    run = run_of(
        EndedRequest(1.0, 0.1),
        EndedRequest(2.0, 0.2, outcome="resumed"),
        EndedRequest(3.0, 0.4),
        EndedRequest(4.0, 0.0, outcome="refused", reason="shed"),
        EndedRequest(5.0, 0.1, outcome="dropped", reason="deadline"),
        EndedRequest(6.0, 0.1, outcome="dropped", reason="deadline"),
    )
    found = summary([run], SLO).all
    assert found.kept_of_all is not None
    assert found.kept_of_admitted is not None
    assert (found.n, found.kept_of_all.value, found.kept_of_admitted.value) == (6, 2 / 6, 2 / 5)
    assert {name: share.value for name, share in found.outcomes.items()} == {
        "answered": 2 / 6, "resumed": 1 / 6, "refused": 1 / 6, "dropped": 2 / 6, "failed": 0.0,
    }  # fmt: skip
    assert found.times_s["mean"].value == pytest.approx(0.7 / 3)


def test_without_a_promise_a_request_keeps_its_own_deadline() -> None:
    run = run_of(EndedRequest(1.0, 0.4, 0.3), EndedRequest(2.0, 0.4, 0.5), EndedRequest(3.0, 9.0))
    found = summary([run]).all.kept_of_all
    assert found is not None
    assert found.value == pytest.approx(2 / 3)


def test_the_warm_up_does_not_count() -> None:
    run = run_of(EndedRequest(1.0, 5.0), EndedRequest(6.0, 0.1), warm_up_s=5.0)
    answers = summary([run])
    assert (answers.all.n, answers.all.times_s["mean"].value) == (1, 0.1)
    assert answers.all.answered_per_s.value == pytest.approx(2 / 5)  # both answers came in the counted time


def test_drops_are_told_by_reason_most_frequent_first() -> None:
    reasons = ["deadline", "shed", "shed", "shed"]
    drops = summary([run_of(*(EndedRequest(1.0, 0.0, outcome="refused", reason=one) for one in reasons))]).drops
    assert [(one.outcome, one.reason, one.n) for one in drops] == [("refused", "shed", 3), ("refused", "deadline", 1)]
    assert drops[0].share.value == 3 / 4


def test_stages_sum_to_the_mean_time() -> None:
    answers = summary(made_runs(3))
    total_s = sum(one.mean_s.value for one in answers.stages)
    assert total_s == pytest.approx(answers.all.times_s["mean"].value)
    assert sum(one.slowest_s.value for one in answers.stages) > total_s


def test_shares_of_plans_sum_to_one_in_all_and_over_time() -> None:
    answers = summary(made_runs(2))
    assert sum(one.share.value for one in answers.plans) == pytest.approx(1.0)
    for shares in zip(*(one.shares for one in answers.over_time.plans), strict=True):
        assert all(share is None for share in shares) or sum(shares) == pytest.approx(1.0)


def test_busy_seconds_become_utilisation_by_group() -> None:
    found = {(one.kind, one.group): one for one in summary(made_runs(2)).utilisation}
    assert found["edge", "shop"].share.value == pytest.approx(0.25)
    assert found["edge", "shop"].n == 2
    assert found["replica", "gpu"].busiest == pytest.approx(0.9)


def test_the_busiest_of_many_that_are_told_as_one_is_one_of_them() -> None:
    recorder = RunRecorder()
    recorder.resource(Resource("uplink", "lte", "lte", 8.0, 40.0, 0.7))
    (found,) = summary([recorder.finish(RunFacts("hand", 1, 10.0))]).utilisation
    assert (found.n, found.share.value, found.busiest) == (4, 0.2, 0.7)


def test_cost_is_told_an_hour_and_a_million() -> None:
    cost = summary(made_runs(2), prices=Prices("EUR", {"any": 0.5 / 3600})).cost
    assert cost is not None
    assert cost.per_hour.value == pytest.approx(0.5)
    answers_an_hour = 600 * 0.98 * 60
    assert cost.per_million is not None
    assert cost.per_million.value == pytest.approx(0.5 / answers_an_hour * 1e6, rel=0.05)


def test_distributions_rise_to_what_was_answered() -> None:
    answers = summary(made_runs(2))
    for group, one in zip(answers.groups, answers.distributions, strict=True):
        assert list(one.times_s) == sorted(one.times_s)
        assert list(one.shares) == sorted(one.shares)
        assert 0.9 < one.shares[-1] <= 1.0 - group.outcomes["refused"].value


def test_windows_count_every_arrival() -> None:
    runs = made_runs(3)
    time = summary(runs).over_time
    assert sum(rate or 0.0 for rate in time.arrivals_per_s) * time.window_s * 3 == pytest.approx(1800)
    assert (time.window_s, len(time.times_s)) == (0.5, 120)


def test_many_of_a_kind_are_told_as_their_mean_and_their_highest() -> None:
    recorder, measure = RunRecorder(), made_run(1).series[0]
    for number in range(8):
        recorder.sample(replace(measure, of=f"shop-{number}"), 0.0, float(number))
    found = summary([recorder.finish(RunFacts("many", 1, 10.0))]).over_time.series
    assert [(one.of, one.values[0]) for one in found] == [("mean of 8", 3.5), ("highest of 8", 7.0)]


def test_a_load_that_grows_without_end_is_said() -> None:
    growing = [run_of(*(EndedRequest(0.1 * n, 0.01 * n + 0.001 * run) for n in range(100))) for run in range(2)]
    assert any("overloaded" in note for note in summary(growing).notes)
    assert not any("overloaded" in note for note in summary(made_runs(4)).notes)


def test_runs_of_two_scenarios_do_not_mix() -> None:
    other = made_run(2)
    with pytest.raises(InvalidInput, match="not of one scenario"):
        summary([made_run(1), replace(other, facts=replace(other.facts, scenario="other"))])
    with pytest.raises(InvalidInput, match="are none"):
        summary([])


def _ended(given: dict[str, Any]) -> EndedRequest:
    return EndedRequest(**given)


seconds = st.floats(0.0, 20.0)
# Not st.builds: it would make up the fields that are left out.
anything = st.fixed_dictionaries(
    {
        "time_s": seconds,
        "took_s": seconds,
        "timeout_s": st.one_of(seconds, st.just(math.inf)),
        "edge_queue_s": seconds,
        "outcome": st.sampled_from(OUTCOMES),
        "reason": st.sampled_from(["", "shed"]),
        "client": st.sampled_from(["", "a", "b"]),
        "plan": st.sampled_from(["", "p", "q"]),
        "kind": st.sampled_from(["split", "edge-only"]),
    }
).map(_ended)


@given(st.lists(st.lists(anything, max_size=12), min_size=1, max_size=3), st.one_of(st.none(), st.just(SLO)))
@settings(max_examples=25)
def test_whatever_came_json_holds_no_nan_and_reads_back_equal(
    requests: list[list[EndedRequest]], slo: Slo | None
) -> None:
    answers = summary([run_of(*ended, warm_up_s=2.0) for ended in requests], slo)
    text = answers.to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    json.loads(text)
    assert Summary.from_json(text) == answers


def test_more_runs_make_narrower_intervals() -> None:
    few, many = (summary(made_runs(count)).all.times_s["mean"] for count in (4, 16))
    assert many.half_width < few.half_width
    assert np.isclose(few.value, many.value, rtol=0.2)
