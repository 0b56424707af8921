"""The account of a model's requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.model_statistics import Duration, ModelStatistics, RequestPhases, StatisticsLedger

seconds = st.floats(0, 100)
phases = st.builds(RequestPhases, seconds, seconds, seconds, seconds, seconds)


@given(st.lists(st.tuples(st.integers(1, 8), phases), max_size=10))
def test_batches_add_up_to_the_whole(answered: list[tuple[int, RequestPhases]]) -> None:
    ledger = StatisticsLedger()
    for batch, spent in answered:
        ledger.answered("m", batch, spent, 1)
    counted = ledger.of("m")
    assert counted.execution_count == len(answered)
    assert counted.inference_count == sum(size * one.compute_infer.count for size, one in counted.batches.items())
    assert counted.every_batch.compute_infer.ns == sum(one.compute_infer.ns for one in counted.batches.values())


@given(st.lists(seconds, max_size=10))
def test_failures_are_neither_inferences_nor_executions(failed: list[float]) -> None:
    ledger = StatisticsLedger()
    for number, spent_s in enumerate(failed):
        ledger.failed("m", spent_s, number)
    counted = ledger.of("m")
    assert (counted.fail.count, counted.inference_count, counted.execution_count) == (len(failed), 0, 0)
    assert counted.last_inference_ms == max(0, len(failed) - 1)


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    ledger = StatisticsLedger()
    for seconds_ in (5e-9, -1.0):
        ledger.answered("m", 1, RequestPhases(*[seconds_] * 5), 1)
        ledger.failed("m", seconds_, 1)
    counted = ledger.of("m")
    told = (counted.success, counted.queue, counted.fail, counted.every_batch.compute_infer)
    assert told == (Duration(2, 5),) * 4


def test_what_was_told_does_not_change() -> None:
    ledger = StatisticsLedger()
    ledger.answered("m", 2, RequestPhases(1, 1, 1, 1, 4), 1)
    told = ledger.of("m")
    ledger.answered("m", 2, RequestPhases(1, 1, 1, 1, 4), 2)
    assert (told.inference_count, told.success, told.last_inference_ms) == (2, Duration(1, 4_000_000_000), 1)
    assert ledger.of("m").inference_count == 4


def test_models_are_counted_apart() -> None:
    ledger = StatisticsLedger()
    ledger.failed("m", 1.0, 1)
    assert ledger.of("other") == ModelStatistics()
