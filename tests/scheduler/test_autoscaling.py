"""How many replicas: bounds, steps in load, no oscillation, down to zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.autoscaling import (
    BUSY_SHARE,
    CATCH_UP_S,
    AutoscalingRule,
    ReplicaLoad,
    ScalingMemory,
    decide,
    wanted_by,
)

RULE = AutoscalingRule(0, 20, target_queue_s=0.1, scale_down_after_s=10.0)
START_S, TICK_S, REPORT_S = 4.0, 0.1, 1.0
LOADS = st.lists(st.builds(ReplicaLoad, st.floats(0, 30), st.floats(0, 5)), min_size=1, max_size=8)
NEW = ScalingMemory()


def replicas_over(work: Callable[[float], float], seconds: float, start: int = 1) -> list[tuple[float, int, float]]:
    """(time, replicas that run, seconds of work that wait at each) of a fluid queue whose replicas take START_S to
    start and say what they see as the mean of the last REPORT_S."""
    running, starting, memory, waits = start, list[float](), NEW, 0.0
    seen, steps = list[tuple[float, float]](), list[tuple[float, int, float]]()
    for step in range(int(seconds / TICK_S)):
        now_s = step * TICK_S
        running += sum(at_s <= now_s for at_s in starting)
        starting = [at_s for at_s in starting if at_s > now_s]
        waits = max(0.0, waits + (work(now_s) - running) * TICK_S)
        seen = [*seen, (waits, work(now_s))][-round(REPORT_S / TICK_S) :]
        if running:
            mean = [math.fsum(column) / len(seen) / running for column in zip(*seen, strict=True)]
            decision = decide(RULE, running + len(starting), [ReplicaLoad(mean[0], mean[1])] * running, memory, now_s)
            memory = decision.memory
            starting += [now_s + START_S] * (decision.replicas - running - len(starting))
            running = min(running, decision.replicas)
        steps.append((now_s, running, waits / max(1, running)))
    return steps


@given(LOADS, st.integers(0, 20))
def test_the_answer_is_within_the_bounds_and_never_below_what_is_needed(loads: list[ReplicaLoad], target: int) -> None:
    rule = AutoscalingRule(2, 9, scale_down_after_s=1.0)
    decision = decide(rule, target, loads, ScalingMemory(-5.0), 0.0)
    assert 2 <= decision.replicas <= 9
    assert decision.replicas >= min(9, decision.needed)


@given(st.floats(0, 30), st.floats(0, 5), st.integers(1, 8))
def test_what_replicas_say_that_they_want_is_what_is_decided_where_their_queues_are_alike(
    queued_s: float, offered: float, count: int
) -> None:
    loads = [ReplicaLoad(queued_s, offered)] * count
    wanted = math.fsum(wanted_by(RULE, load) for load in loads)
    at_least = count + 1 if queued_s > RULE.target_queue_s else int(queued_s > 0 or offered > 0)
    assert decide(RULE, 1, loads, NEW, 0.0).needed == max(at_least, math.ceil(wanted - 1e-6))


@given(LOADS, st.data())
def test_more_work_never_needs_fewer(loads: list[ReplicaLoad], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(loads) - 1))
    one = loads[place]
    more = ReplicaLoad(one.queued_s + data.draw(st.floats(0, 5)), one.offered + data.draw(st.floats(0, 5)))
    heavier = [*loads[:place], more, *loads[place + 1 :]]
    assert decide(RULE, 1, heavier, NEW, 0.0).needed >= decide(RULE, 1, loads, NEW, 0.0).needed


@given(LOADS)
def test_what_is_needed_carries_the_work_and_works_off_the_backlog(loads: list[ReplicaLoad]) -> None:
    offered, queued_s = sum(one.offered for one in loads), sum(one.queued_s for one in loads)
    needed = decide(RULE, 1, loads, NEW, 0.0).needed
    assert offered <= needed * BUSY_SHARE + 1e-5
    assert queued_s - len(loads) * RULE.target_queue_s <= (needed - offered / BUSY_SHARE) * CATCH_UP_S + 1e-4


@given(LOADS, st.integers(1, 20))
def test_a_replica_that_has_said_nothing_keeps_all_there(loads: list[ReplicaLoad], target: int) -> None:
    assert decide(RULE, target, [*loads, None], ScalingMemory(-1e3), 0.0).replicas >= target
    assert decide(RULE, target, [None], ScalingMemory(-1e3), 0.0).replicas == target


def test_more_are_asked_for_at_once() -> None:
    assert decide(RULE, 1, [ReplicaLoad(0.0, 4.0)], NEW, 0.0).replicas == 5


def test_a_queue_beyond_the_target_asks_for_one_more_whatever_the_rates_say() -> None:
    assert decide(RULE, 2, [ReplicaLoad(0.15, 0.1)] * 2, NEW, 0.0).replicas == 3


def test_a_queue_is_reason_enough_before_a_request_is_late() -> None:
    below, above = (decide(RULE, 1, [ReplicaLoad(0.0, load)], NEW, 0.0).replicas for load in (0.79, 0.81))
    assert (below, above) == (1, 2)


def test_fewer_only_after_the_whole_window_and_no_moment_in_it_forgotten() -> None:
    memory, seen = NEW, list[tuple[float, int]]()
    for step in range(41):
        now_s, load = step * 0.5, 3.0 if step == 10 else 0.5  # a burst at 5 s, over at 5.5 s
        decision = decide(RULE, 4, [ReplicaLoad(0.0, load / 4)] * 4, memory, now_s)
        memory = decision.memory
        seen.append((now_s, decision.replicas))
    assert next(at_s for at_s, replicas in seen if replicas < 4) == 15.0
    assert seen[-1][1] == 1


def test_a_step_of_ten_times_is_served_and_its_backlog_worked_off() -> None:
    steps = replicas_over(lambda now_s: 0.5 if now_s < 20 else 5.0, 60.0)
    assert {running for now_s, running, _ in steps if now_s < 20} == {1}
    asked_and_started_s = 20 + REPORT_S + START_S
    assert next(now_s for now_s, running, _ in steps if running >= 7) <= asked_and_started_s + 1e-6
    late = [waits_s for now_s, _, waits_s in steps if now_s > asked_and_started_s + CATCH_UP_S]
    assert max(late) <= RULE.target_queue_s


@pytest.mark.parametrize("work", [0.3, 1.7, 4.4])
def test_a_steady_load_that_fluctuates_does_not_make_the_number_oscillate(work: float) -> None:
    rng = Random(0)
    noise = [rng.uniform(0.7, 1.3) for _ in range(2000)]
    steps = replicas_over(lambda now_s: work * noise[round(now_s / TICK_S)], 180.0)
    settled = [running for now_s, running, _ in steps if now_s > 30]
    changes = sum(one != other for one, other in pairwise(settled))
    assert changes <= 150 / RULE.scale_down_after_s
    assert work < min(settled) <= max(settled) <= min(settled) + 1 <= math.ceil(1.3 * work / BUSY_SHARE) + 1


def test_a_replica_that_works_is_not_let_go_though_nothing_waits_or_comes() -> None:
    memory, target = ScalingMemory(), 1
    for second in range(100):
        decision = decide(RULE, target, [ReplicaLoad(0.0, 0.0, busy=True)], memory, float(second))
        memory, target = decision.memory, decision.replicas
        assert target == 1
    for second in range(100, 200):
        decision = decide(RULE, target, [ReplicaLoad(0.0, 0.0)] * target, memory, float(second))
        memory, target = decision.memory, decision.replicas
    assert target == 0


def test_silence_ends_at_zero_and_the_least_work_keeps_one() -> None:
    assert replicas_over(lambda now_s: 0.0, 15.0)[-1][1] == 0
    assert replicas_over(lambda now_s: 1e-4, 15.0, start=3)[-1][1] == 1


def test_replicas_that_prepare_plans_are_needed_though_no_request_comes_yet() -> None:
    memory = ScalingMemory(-1e9, ())
    idle, preparing = ReplicaLoad(0.0, 0.0), ReplicaLoad(0.0, 0.0, preparing=True)
    assert decide(RULE, 3, [preparing, preparing, idle], memory, 0.0).replicas == 2
    assert decide(RULE, 3, [idle, idle, idle], memory, 0.0).replicas == 0


def test_a_rule_that_cannot_be_is_refused() -> None:
    for bad in ((3, 2), (0, 0), (-1, 2)):
        with pytest.raises(ValueError, match="replicas"):
            AutoscalingRule(*bad)
    with pytest.raises(ValueError, match="times"):
        AutoscalingRule(0, 1, target_queue_s=math.inf)
