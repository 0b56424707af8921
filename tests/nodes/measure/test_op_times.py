"""Op times: one for each op of the graph, and the whole beside them."""

from __future__ import annotations

import pytest

from nodes.compute_pool import ComputePool
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure.op_times import measure_op_times
from partitioner.measurements import OpTimes
from partitioner.model import Model


def test_every_op_has_a_time_and_nothing_else_has(small_model: Model) -> None:
    times = measure_op_times(small_model, EagerEngine(), budget_s=0.05)
    assert set(times.seconds) == {op.name for op in small_model.graph.ops}
    assert all(time.seconds > 0 for time in times.seconds.values())


def test_shares_sum_to_the_whole(small_model: Model) -> None:
    times = measure_op_times(small_model, EagerEngine(), budget_s=0.05)
    assert sum(times.shares_of_whole().values()) == pytest.approx(times.whole.seconds)


def test_times_are_labelled_with_what_was_measured(small_model: Model) -> None:
    times = measure_op_times(small_model, EagerEngine(threads=2), batch=3, budget_s=0.0)
    assert times.key == (small_model.digest, "eager", 2, 3)
    assert times.whole.repeats == 3


def test_an_emulated_slowdown_is_in_the_times(small_model: Model) -> None:
    with ComputePool() as pool:  # one thread: on a busy machine two wait for each other
        real = pool.run_blocking(measure_op_times, small_model, EagerEngine(), budget_s=0.05)
        slow = pool.run_blocking(measure_op_times, small_model, EagerEngine(slowdown=50.0), budget_s=0.0)
    assert _sum_of_ops_s(slow) > 2 * _sum_of_ops_s(real)
    assert slow.whole.seconds > 2 * real.whole.seconds


def test_onnxruntime_gives_every_op_a_time_and_times_the_whole_fused(small_model: Model) -> None:
    times = measure_op_times(small_model, engine_for("onnxruntime"), budget_s=0.05)
    heavy = [op.name for op in small_model.graph.ops if op.kind in ("conv2d", "linear")]
    assert times.key == (small_model.digest, "onnxruntime", 1, 1)
    assert times.seconds.keys() <= {op.name for op in small_model.graph.ops}
    assert all(times.seconds[name].seconds > 0 for name in heavy)
    assert times.seconds[heavy[0]].repeats >= 3


def _sum_of_ops_s(times: OpTimes) -> float:
    return sum(time.seconds for time in times.seconds.values())
