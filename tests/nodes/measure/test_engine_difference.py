"""What a plan's engines do to its answers, apart from its codecs."""

from __future__ import annotations

import dataclasses

from nodes.engines.factory import engine_for
from nodes.measure.engine_difference import measure_engine_difference
from nodes.plan_builder import PlanBuilder
from partitioner.torch_model import TorchModel


def first_ops(model: TorchModel, count: int) -> tuple[str, ...]:
    return tuple(op.name for op in model.graph.ops[:count])


def test_the_exact_engine_on_both_sides_differs_by_nothing(small_model: TorchModel) -> None:
    engine = engine_for("eager")
    found = measure_engine_difference(small_model, first_ops(small_model, 3), engine, engine)
    assert (found.max_abs, found.top1_agreement, found.n, found.calibrated) == (0.0, 1.0, 6, True)


def test_onnxruntime_differs_in_the_last_digits(small_model: TorchModel) -> None:
    found = measure_engine_difference(
        small_model, first_ops(small_model, 3), engine_for("eager"), engine_for("onnxruntime")
    )
    assert 0 < found.max_abs < 1e-5
    assert found.cosine > 0.99999


def test_without_calibration_inputs_it_is_measured_on_samples(small_model: TorchModel) -> None:
    bare, engine = dataclasses.replace(small_model, calibration=()), engine_for("onnxruntime")
    found = measure_engine_difference(bare, (), engine, engine)
    assert (found.n, found.calibrated) == (8, False)


def test_plans_name_both_engines_and_say_what_they_do_to_answers(small_model: TorchModel) -> None:
    builder = PlanBuilder(small_model, engine_for("onnxruntime"), 1.0)
    for ready in (*builder.unsplit(), *builder.split(first_ops(small_model, 3))):
        plan, difference = ready.entry.plan, ready.entry.engine_difference
        assert (plan.edge_engine, plan.cloud_engine) == ("onnxruntime", "eager")
        assert difference is not None
        assert (difference.max_abs > 0) == bool(plan.edge_ops)  # cloud-only runs on eager alone


def test_plans_on_the_exact_engine_have_no_difference(small_model: TorchModel) -> None:
    builder = PlanBuilder(small_model, engine_for("eager"), 1.0)
    assert all(ready.entry.engine_difference is None for ready in (*builder.edge_only(), *builder.unsplit()))
