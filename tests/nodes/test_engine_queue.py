"""How long what waits is said to take, after batches that took another time than was measured."""

from __future__ import annotations

import pytest

from nodes.batch_times import BatchTimes
from nodes.batching import BatchGroup, BatchLimits, WaitingRequest
from nodes.engine_queue import EngineQueue

ALONE = BatchLimits(max_batch=1, max_delay_s=0.0)


def queue_after(*batches: tuple[float, float]) -> EngineQueue:
    """A queue whose batches were expected to take the first of each two, and took the second, in seconds."""
    queue = EngineQueue(ALONE)
    for expected_s, took_s in batches:
        queue.began(1, expected_s, 0.0)
        queue.ended(1, expected_s, took_s)
    return queue


def told_s(queue: EngineQueue, work_s: float) -> float:
    """What is said of so much work that waits."""
    times = BatchTimes.of({1: work_s})
    queue.add(WaitingRequest(1, BatchGroup("model", "cut", "eager", ()), 1, times, 0.0, None, 0))
    return queue.waiting_s()


def test_what_waits_takes_what_was_measured() -> None:
    assert told_s(queue_after((0.010, 0.010)), 0.016) == pytest.approx(0.016)


@pytest.mark.parametrize("standstill_s", [0.05, 1.5, 60.0])
def test_a_standstill_inside_a_short_batch_makes_little_of_a_difference(standstill_s: float) -> None:
    usual = [(0.001, 0.001)] * 20
    assert told_s(queue_after(*usual, (0.001, standstill_s)), 0.016) < 2 * 0.016


@pytest.mark.parametrize("standstills", [1, 5])
def test_hiccups_of_a_tiny_prefix_say_next_to_nothing_of_a_long_one(standstills: int) -> None:
    hiccups = [(50e-6, 0.05)] * standstills
    assert told_s(queue_after(*hiccups), 0.050) < 1.1 * 0.050


def test_work_that_failed_at_once_is_soon_forgotten() -> None:
    failed = [(0.2, 0.0002)] * 30
    assert told_s(queue_after(*failed, *[(0.2, 0.2)] * 4), 0.1) > 0.5 * 0.1


def test_one_very_slow_batch_counts_as_a_few_times_slower() -> None:
    assert told_s(queue_after((0.1, 60.0)), 1.0) < 2.0


@pytest.mark.parametrize("factor", [0.5, 3.0, 20.0])
@pytest.mark.parametrize("expected_s", [0.001, 0.010, 1.0])
def test_a_machine_of_another_speed_is_learned_within_some_batches(expected_s: float, factor: float) -> None:
    batches = [(expected_s, factor * expected_s)] * 40
    assert told_s(queue_after(*batches), 0.1) == pytest.approx(factor * 0.1, rel=0.1)


def test_a_machine_three_times_slower_is_known_for_most_of_it_after_ten_batches() -> None:
    assert told_s(queue_after(*[(0.010, 0.030)] * 10), 0.1) > 0.25


def test_a_standstill_is_forgotten_again() -> None:
    assert told_s(queue_after((0.010, 5.0), *[(0.010, 0.010)] * 15), 0.1) < 1.05 * 0.1
