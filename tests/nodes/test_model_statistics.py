"""The account of a model's requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.model_statistics import Duration, ModelStatistics, RequestPhases, StatisticsLedger

seconds = st.floats(0, 100)
phases = st.builds(RequestPhases, seconds, seconds, seconds, seconds, seconds)


@given(st.lists(st.tuples(st.integers(1, 8), phases), max_size=10))
def test_batches_add_up_to_the_whole(answered: list[tuple[int, RequestPhases]]) -> None:
    counted = ModelStatistics()
    for batch, spent in answered:
        counted = counted.answered(batch, spent, 1)
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
    assert Duration(1, 5).plus(-1.0) == Duration(2, 5)


def test_models_are_counted_apart() -> None:
    ledger = StatisticsLedger()
    ledger.failed("m", 1.0, 1)
    assert ledger.of("other") == ModelStatistics()
