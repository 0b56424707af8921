"""Segment times: both halves at each batch, none for a half without ops."""

from __future__ import annotations

import pytest

from isthmus.errors import InvalidPlan
from nodes.engines.eager import EagerEngine
from nodes.measure.segment_times import measure_segments, segment_time
from partitioner.measurements import digest_of_ops
from partitioner.model import Model


def first_ops(model: Model, count: int) -> tuple[str, ...]:
    return tuple(op.name for op in model.graph.ops[:count])


def test_both_halves_are_measured_at_each_batch(small_model: Model) -> None:
    cut = first_ops(small_model, 2)
    times = measure_segments(small_model, cut, EagerEngine(), batches=(1, 3), budget_s=0.0)
    assert [(t.segment, t.batch) for t in times] == [("prefix", 1), ("suffix", 1), ("prefix", 3), ("suffix", 3)]
    assert {t.edge_ops_digest for t in times} == {digest_of_ops(cut)}


@pytest.mark.parametrize(("edge_only", "half"), [(True, "prefix"), (False, "suffix")])
def test_a_half_without_ops_is_left_out(small_model: Model, edge_only: bool, half: str) -> None:
    cut = first_ops(small_model, len(small_model.graph.ops)) if edge_only else ()
    times = measure_segments(small_model, cut, EagerEngine(), batches=(1,), budget_s=0.0)
    assert [t.segment for t in times] == [half]


def test_the_line_over_the_batch_of_a_missing_half_is_zero(small_model: Model) -> None:
    times = measure_segments(small_model, (), EagerEngine(), budget_s=0.0)
    assert segment_time(times, "prefix").at(4) == 0.0
    assert segment_time(times, "suffix").at(4) > 0.0


def test_what_is_no_cut_is_refused(small_model: Model) -> None:
    with pytest.raises(InvalidPlan):
        measure_segments(small_model, [small_model.graph.ops[-1].name], EagerEngine(), budget_s=0.0)
