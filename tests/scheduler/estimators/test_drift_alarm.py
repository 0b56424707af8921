"""When a stage's measured time is so wrong for so long that an alarm is due, and when no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.chooser import StageTimes
from partitioner.plan_table import PlanEntry
from scheduler.estimators.drift_alarm import HELD_REQUESTS, HELD_S, SILENT_S, DriftAlarm
from tests.scheduler.conftest import make_entry

Maker = Callable[..., PlanEntry]
SPLIT = make_entry("blocks.4", edge_s=0.03, size=40_000, cloud_s=0.02)


def took(edge: float = 1.0, cloud: float | None = 1.0, entry: PlanEntry = SPLIT) -> StageTimes:
    costs = entry.costs
    cloud_s = None if cloud is None else costs.cloud.at(1) * cloud
    return StageTimes(entry, 1, 0, costs.edge.at(1) * edge, cloud_s, None)


def heard(alarm: DriftAlarm, factors: Iterable[float], start_s: float, every_s: float = 2.0) -> float:
    """One request every so often, whose edge stage takes so many times as long; when the last one was."""
    now_s = start_s
    for number, factor in enumerate(factors):
        now_s = start_s + number * every_s
        alarm.observe(took(edge=factor), now_s)
    return now_s


def raised(alarm: DriftAlarm, now_s: float) -> list[str]:
    return [one.stage for one in alarm.drifts(now_s)]


def test_a_stage_that_stays_off_for_long_raises_an_alarm_that_names_it() -> None:
    alarm = DriftAlarm()
    now_s = heard(alarm, [2.0] * 40, 100.0)
    (drift,) = alarm.drifts(now_s)
    assert (drift.model, drift.plan_id, drift.stage) == (SPLIT.plan.model, SPLIT.plan.plan_id, "edge")
    assert drift.factor == pytest.approx(2.0)
    assert drift.since_s == 100.0


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_one_that_takes_less_is_as_far_off(factor: float) -> None:
    alarm = DriftAlarm()
    assert raised(alarm, heard(alarm, [factor] * 40, 0.0)) == ["edge"]


@pytest.mark.parametrize(
    ("said_s", "took_s", "rings"), [(0.0005, 0.03, True), (0.03, 0.0005, True), (0.0005, 0.0019, False)]
)
def test_a_stage_that_is_not_as_short_as_it_was_said_raises_one_too(said_s: float, took_s: float, rings: bool) -> None:
    entry, alarm = make_entry("blocks.4", edge_s=said_s, size=40_000, cloud_s=0.02), DriftAlarm()
    for number in range(40):
        alarm.observe(StageTimes(entry, 1, 0, took_s, None, None), 2.0 * number)
    assert bool(alarm.drifts(80.0)) == rings


def test_the_clouds_stage_is_told_apart() -> None:
    alarm = DriftAlarm()
    for number in range(40):
        alarm.observe(took(cloud=3.0), number * 2.0)
    assert raised(alarm, 80.0) == ["cloud"]


@pytest.mark.parametrize(("requests", "every_s"), [(500, 0.1), (HELD_REQUESTS - 1, 10.0)])
def test_neither_many_requests_nor_a_long_time_is_enough_alone(requests: int, every_s: float) -> None:
    alarm = DriftAlarm()
    assert raised(alarm, heard(alarm, [3.0] * requests, 0.0, every_s)) == []


def test_a_break_begins_it_anew() -> None:
    alarm = DriftAlarm()
    now_s = heard(alarm, [2.0] * 28, 0.0)
    now_s = heard(alarm, [1.0] * 20, now_s + 2.0)
    assert raised(alarm, heard(alarm, [2.0] * 25, now_s + 2.0)) == []


def test_between_the_bounds_an_alarm_stays_as_it_is() -> None:
    alarm = DriftAlarm()
    now_s = heard(alarm, [2.0] * 40, 0.0)
    now_s = heard(alarm, [1.35] * 60, now_s + 2.0)
    assert raised(alarm, now_s) == ["edge"]
    assert raised(alarm, heard(alarm, [1.1] * 40, now_s + 2.0)) == []
    quiet = DriftAlarm()
    assert raised(quiet, heard(quiet, [1.35] * 200, 0.0)) == []


@given(st.lists(st.floats(0.7, 1.4), min_size=1, max_size=150))
def test_what_is_off_by_chance_alone_raises_nothing(factors: list[float]) -> None:
    alarm = DriftAlarm()
    assert raised(alarm, heard(alarm, factors, 0.0)) == []


@given(st.lists(st.floats(allow_nan=True), max_size=60))
def test_whatever_a_peer_says_of_its_stage_is_a_factor_or_nothing(seconds: list[float]) -> None:
    alarm = DriftAlarm()
    for number, cloud_s in enumerate(seconds):
        alarm.observe(StageTimes(SPLIT, 1, 0, 0.03, cloud_s, None), number * 2.0)
        assert all(0.25 <= one.factor <= 4.0 for one in alarm.drifts(number * 2.0))


def test_one_slow_request_in_ten_raises_nothing() -> None:
    alarm = DriftAlarm()
    assert raised(alarm, heard(alarm, ([1.0] * 9 + [4.0]) * 20, 0.0)) == []


def test_one_quick_request_in_ten_hides_nothing() -> None:
    alarm = DriftAlarm()
    assert raised(alarm, heard(alarm, ([3.0] * 9 + [1.0]) * 20, 0.0)) == ["edge"]


def test_of_a_stage_that_nobody_took_for_long_nothing_is_claimed() -> None:
    alarm = DriftAlarm()
    now_s = heard(alarm, [2.0] * 40, 0.0)
    assert raised(alarm, now_s + SILENT_S) == ["edge"]
    assert raised(alarm, now_s + SILENT_S + 1.0) == []


def test_fresh_costs_of_the_edge_end_its_alarm_and_leave_the_clouds() -> None:
    alarm = DriftAlarm()
    for number in range(40):
        alarm.observe(took(edge=2.0, cloud=2.0), number * 2.0)
    assert raised(alarm, 80.0) == ["cloud", "edge"]
    alarm.forget_edge((SPLIT.plan.plan_id,))
    assert raised(alarm, 80.0) == ["cloud"]
    assert raised(alarm, heard(alarm, [2.0] * 10, 82.0)) == ["cloud"]


def test_the_time_that_it_takes_is_as_said() -> None:
    alarm, number = DriftAlarm(), 0
    while not raised(alarm, number * 1.0):
        alarm.observe(took(edge=2.0), number * 1.0)
        number += 1
    assert number - 1 == HELD_S
