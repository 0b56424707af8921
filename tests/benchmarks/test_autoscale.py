"""The forms of the autoscaling benchmark, and what it makes of what it saw."""

from __future__ import annotations

import pytest

from benchmarks.autoscale import FORM, Run, failed, told, wrong
from benchmarks.compute_forms import FORMS, PACED, REAL, chosen_forms
from benchmarks.figure import Options
from benchmarks.judged_requests import Asked
from benchmarks.load_steps import Rates, Sent, Step
from scheduler.autoscaling import BUSY_SHARE


@pytest.mark.parametrize(
    ("quick", "named", "chosen"),
    [(False, (), FORMS), (True, (), (PACED,)), (True, (REAL,), (REAL,)), (False, (PACED,), (PACED,))],
)
def test_forms_are_those_named_and_with_quick_the_paced_one(
    quick: bool, named: tuple[str, ...], chosen: tuple[str, ...]
) -> None:
    assert chosen_forms(Options(quick, True, False, 0, scenarios=named)) == chosen


@pytest.mark.parametrize("name", FORMS)
def test_one_replica_bears_the_load_before_a_step_and_not_the_one_after(name: str) -> None:
    form = FORM[name]
    rates = form.rates(100.0)
    assert rates.low < 0.5 * 100.0
    assert BUSY_SHARE * 100.0 < rates.high <= BUSY_SHARE * form.rule.max_replicas * 100.0


def test_failures_and_wrong_answers_are_counted_apart_and_told() -> None:
    sent = [Sent(0.0, Asked(True, 0.1, right)) for right in (True, True, False)]
    sent.append(Sent(0.0, Asked(False, 30.0, error="DeadlineExceeded: late")))
    assert (failed(sent), wrong(sent)) == (1, 1)
    lines = told(FORM[REAL], [Run(100.0, Rates(20.0, 110.0), [Step(decided_s=1.5, up=sent)], 9.0, 8.0)])
    assert "one replica answers 100.0/s, step from 20.0 to 110.0/s" in lines
    assert "failed on the way up: 1 of 4" in lines
    assert "errors: {'DeadlineExceeded': 1}" in lines
