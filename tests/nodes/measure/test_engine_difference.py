"""What a plan's engines do to its answers, apart from its codecs."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from isthmus.errors import InvalidModel
from nodes.engines.base import Runnable, Runner
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.measure.engine_difference import difference_here, measure_engine_difference, measure_whole_difference
from nodes.model_runtime import ReadyPlan
from nodes.plan_builder import PlanBuilder, PlanDraft
from partitioner.front_end import model_from_module
from partitioner.measurements import Provenance
from partitioner.plain_json import write_json
from partitioner.plan_table import FARTHEST, EngineDifference
from partitioner.profiles import DeviceProfile
from partitioner.torch_model import TorchModel


class WrongEngine(EagerEngine):
    """Turns the sign of all that it makes, so that no best class stays the best."""

    name = "wrong"

    def load(self, segment: Runnable) -> Runner:
        right = super().load(segment)

        def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            handed = {id(tensor) for tensor in tensors}
            return tuple(made if id(made) in handed else -made for made in right(*tensors))

        return run


class Masked(torch.nn.Module):
    """Rules a class out, and has an output that holds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = torch.nn.Linear(8, 4)
        self.register_buffer("mask", torch.tensor([0.0, 0.0, 0.0, -math.inf]))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed = self.mixed(x)
        return mixed + self.mask, mixed[:, :0]


class Overflowing(EagerEngine):
    """Makes an infinity of the first number of every first output."""

    name = "overflowing"

    def load(self, segment: Runnable) -> Runner:
        right = super().load(segment)

        def run(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            first, *others = right(*tensors)
            return first.index_fill(1, torch.tensor([0]), math.inf), *others

        return run


def first_ops(model: TorchModel, count: int) -> tuple[str, ...]:
    return tuple(op.name for op in model.graph.ops[:count])


def masked_model() -> TorchModel:
    return model_from_module(Masked().eval(), (torch.randn(2, 8),), "masked")


def every_plan(builder: PlanBuilder, *drafts: PlanDraft) -> list[ReadyPlan]:
    return [plan for draft in drafts for plan in builder.ready(draft)]


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


def test_few_items_are_measured_where_few_are_asked_for(small_model: TorchModel) -> None:
    found = measure_whole_difference(small_model, engine_for("onnxruntime"), 4)
    assert (found.n, found.calibrated) == (4, True)


def test_a_mask_and_an_empty_output_differ_by_nothing() -> None:
    found = measure_whole_difference(masked_model(), engine_for("onnxruntime"))
    assert found.max_abs < 1e-5
    assert found.cosine == pytest.approx(1.0)
    assert found.top1_agreement == 1.0


def test_an_infinity_on_one_side_only_is_the_largest_difference_that_a_profile_can_hold() -> None:
    found = measure_whole_difference(masked_model(), Overflowing())
    assert (found.max_abs, found.plus(found).max_abs, found.loss(classes=False)) == (FARTHEST, FARTHEST, 1.0)
    assert str(FARTHEST) in write_json(found.plus(found))


@pytest.mark.parametrize("engine", ["onnxruntime", "aot", "none"])
def test_the_engine_of_a_profile_is_measured_where_it_runs_without_compiling(
    small_model: TorchModel, engine: str
) -> None:
    made = Provenance("2026-01-01T00:00:00Z", "there", "2.13", 0.1, False, "glibc")
    profile = DeviceProfile("cpu", "there", 64, 1.0, {"float32": 1e9}, 1e9, 1e-6, {}, made, engine=engine)
    found = difference_here(small_model, profile)
    assert (found is None) == (engine != "onnxruntime")
    assert found is None or (found.n, found.calibrated) == (6, True)


def test_plans_name_both_engines_and_say_what_they_do_to_answers(small_model: TorchModel) -> None:
    builder = PlanBuilder(small_model, engine_for("onnxruntime"), 1.0)
    for ready in every_plan(builder, *builder.unsplit(), *builder.split(first_ops(small_model, 3))):
        plan, difference = ready.entry.plan, ready.entry.engine_difference
        assert (plan.edge_engine, plan.cloud_engine) == ("onnxruntime", "eager")
        assert difference is not None
        assert (difference.max_abs > 0) == bool(plan.edge_ops)  # cloud-only runs on eager alone


def test_plans_on_the_exact_engine_have_no_difference(small_model: TorchModel) -> None:
    builder = PlanBuilder(small_model, engine_for("eager"), 1.0)
    assert all(
        ready.entry.engine_difference is None
        for ready in (*builder.edge_only(), *every_plan(builder, *builder.unsplit()))
    )


def test_an_engine_that_changes_the_answers_is_refused_for_the_whole_model(small_model: TorchModel) -> None:
    with pytest.raises(InvalidModel, match=r"engine.*wrong.*eager"):
        PlanBuilder(small_model, WrongEngine(), 1.0).edge_only()


def test_plans_whose_engine_breaks_the_accuracy_budget_are_left_out(small_model: TorchModel) -> None:
    builder = PlanBuilder(small_model, WrongEngine(), 1.0)
    found = every_plan(builder, *builder.unsplit(), *builder.split(first_ops(small_model, 3)))
    assert {ready.entry.plan.kind for ready in found} == {"cloud-only"}  # the only ones that never use it


def test_what_a_cloud_says_of_its_compiled_code_adds_to_what_the_edge_measures(small_model: TorchModel) -> None:
    told = EngineDifference(max_abs=0.5, cosine=0.999, top1_agreement=0.99, n=3, calibrated=True)
    builder = PlanBuilder(small_model, engine_for("eager"), 1.0)
    plan = builder.ready(builder.unsplit()[0], "aot", told)[0]
    assert plan.entry.plan.cloud_engine == "aot"
    found = plan.entry.engine_difference
    assert found is not None
    assert (found.max_abs, found.cosine) == pytest.approx((0.5, 0.999))  # eager adds nothing


def test_a_cloud_whose_compiled_code_breaks_the_budget_gets_no_plans(small_model: TorchModel) -> None:
    told = EngineDifference(max_abs=0.5, cosine=0.5, top1_agreement=0.9, n=3, calibrated=True)
    builder = PlanBuilder(small_model, engine_for("eager"), 1.0)
    assert not any(builder.ready(draft, "aot", told) for draft in builder.unsplit())
