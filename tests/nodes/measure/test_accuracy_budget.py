"""Lossy codecs are used where their measured loss allows, and not elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from isthmus.errors import InfeasibleCut, InvalidInput
from nodes.codecs.factory import codec
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.codec_findings import CodecFindings
from nodes.measure.engine_loss import NO_LOSS, EngineLoss
from nodes.plan_shapes import cut_plan
from partitioner.codec_choice import AS_RATED, DEFAULT_CODECS, CodecSize
from partitioner.cost_model import Costing
from partitioner.plan import Plan, TensorCodec
from partitioner.plan_table import Accuracy
from partitioner.torch_model import TorchModel

Solve = Callable[[Costing], Sequence[Plan]]


def smallest(model: TorchModel, ops: int = 1) -> Solve:
    """The first ops, each tensor in the smallest codec that the costing lets it take."""
    cut = tuple(op.name for op in model.graph.ops[:ops])

    def solve(costing: Costing) -> Sequence[Plan]:
        def chosen(tensor: str) -> TensorCodec:
            own = [size for size in costing.codecs if size.tensor in (tensor, "") and size.applies_to != "picture"]
            best = min((size for size in own if allowed(costing, tensor, size)), key=lambda size: size.ratio)
            return TensorCodec(tensor, best.codec, best.parameters, best.wire_bytes(model.graph.tensors[tensor].bytes))

        return [cut_plan(model, cut, {name: chosen(name) for name in model.graph.boundary(cut)})]

    return solve


def allowed(costing: Costing, tensor: str, size: CodecSize) -> bool:
    assert costing.accuracy is not None
    return size.lossless or costing.accuracy.allows(tensor, size.codec, size.parameters)


@pytest.fixture(scope="module")
def model(small_model: TorchModel) -> TorchModel:
    """Judged by direction, where eight bits always lose a little."""
    outputs = replace(small_model.interface.outputs[0], labels=())
    inputs = torch.randn(60, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    return replace(small_model, interface=replace(small_model.interface, outputs=(outputs,)), calibration=(inputs,))


def loss(model: TorchModel, plan: Plan) -> float:
    made = {tensor.tensor: codec(tensor.codec, tensor.parameters) for tensor in plan.boundary}
    return 1.0 - measure_accuracy(model, plan.edge_ops, made).value


@pytest.mark.parametrize("ops", [1, 3])
def test_the_plan_keeps_the_budget_in_a_calibrated_codec(model: TorchModel, ops: int) -> None:
    (plan,) = smallest(model, ops)(AccuracyBudget(model, 0.02).keep(Costing(), smallest(model, ops), list).costing)
    assert "transform" in {tensor.codec for tensor in plan.boundary}
    assert all(tensor.parameters for tensor in plan.boundary if tensor.codec == "transform")
    assert 0.0 < loss(model, plan) <= 0.02


def test_two_tensors_together_keep_the_budget(model: TorchModel) -> None:
    ops = next(n for n in range(3, 9) if len(model.graph.boundary([op.name for op in model.graph.ops[:n]])) == 2)
    (plan,) = smallest(model, ops)(AccuracyBudget(model, 0.02).keep(Costing(), smallest(model, ops), list).costing)
    assert 0.0 < loss(model, plan) <= 0.02


def test_codecs_over_the_budget_go(model: TorchModel) -> None:
    (plan,) = smallest(model)(AccuracyBudget(model, 1e-12).keep(Costing(), smallest(model), list).costing)
    assert loss(model, plan) <= 1e-12


class Together(CodecFindings):
    """Codecs that keep a budget each by itself, of which a whole plan keeps nothing in a transform."""

    def together(self, edge_ops: Sequence[str], boundary: Sequence[TensorCodec]) -> Accuracy:
        found = super().together(edge_ops, boundary)
        return replace(found, value=0.0) if any(one.codec == "transform" for one in boundary) else found


@pytest.mark.parametrize(("findings", "pruned"), [(CodecFindings, False), (Together, True)])
def test_a_codec_taken_out_for_a_whole_plans_sake_is_told(
    model: TorchModel, findings: type[CodecFindings], pruned: bool
) -> None:
    few = replace(model, calibration=(model.calibration[0][:6],))
    kept = AccuracyBudget(few, 0.02, findings=findings(few)).keep(Costing(), smallest(few), list).costing
    (plan,) = smallest(few)(kept)
    assert ("transform" in {tensor.codec for tensor in plan.boundary}) != pruned
    assert kept.budget is not None
    assert kept.budget.pruned == pruned


def test_what_engines_lose_is_taken_off_first(model: TorchModel) -> None:
    budget = AccuracyBudget(model, 0.02, EngineLoss(0.015, 0.0, 0.015, "0.015 lost by onnxruntime"))
    (plan,) = smallest(model)(budget.keep(Costing(), smallest(model), list).costing)
    assert 0.0 < loss(model, plan) <= 0.005
    assert budget.words == "accuracy budget 0.02 (0.015 lost by onnxruntime)"
    assert budget.left == pytest.approx(0.005)


def test_engines_that_break_the_budget_alone_are_refused(model: TorchModel) -> None:
    with pytest.raises(InfeasibleCut, match=r"^accuracy budget 0.02 \(0.03 lost by aot\): is broken without any codec"):
        AccuracyBudget(model, 0.02, EngineLoss(0.03, 0.03, 0.03, "0.03 lost by aot"))


def test_a_side_whose_engine_keeps_the_budget_runs_it_all(model: TorchModel) -> None:
    budget = AccuracyBudget(model, 0.02, EngineLoss(0.03, 0.005, 0.035, "0.03 lost by aot"))
    rules = budget.constrained(Costing()).constraints
    assert (rules.whole_on, rules.whole_words) == (("cloud",), budget.words)
    assert budget.left == pytest.approx(0.015)


def test_a_budget_that_no_codec_keeps_says_what_the_best_costs(model: TorchModel) -> None:
    budget = AccuracyBudget(model, 0.0)
    budget.keep(Costing(), smallest(model), list)
    said, _, cost = budget.why_unused.rpartition(" ")
    assert said == "kept by no codec: the best found costs"
    assert 0.0 < float(cost) < 0.02


def test_a_budget_that_is_kept_has_nothing_to_say(model: TorchModel) -> None:
    budget = AccuracyBudget(model, 0.02)
    budget.keep(Costing(), smallest(model), list)
    assert budget.why_unused == ""


def test_the_bytes_of_a_plan_are_those_of_its_codecs(model: TorchModel) -> None:
    (plan,) = smallest(model)(AccuracyBudget(model, 0.02).keep(Costing(), smallest(model), list).costing)
    (tensor,) = plan.boundary
    values = model.split(plan.edge_ops).prefix(*(part[:1] for part in model.calibration))[0]
    sent = codec(tensor.codec, tensor.parameters).encode(tensor.tensor, values)
    assert len(sent.data) == pytest.approx(tensor.bytes, rel=0.1)


def test_what_is_measured_says_what_coding_it_takes(model: TorchModel) -> None:
    kept = AccuracyBudget(model, 0.02).keep(Costing(), smallest(model), list).costing
    measured = [size for size in kept.codecs if size.tensor]
    assert {"zstd", "lz4", "int8", "transform"} <= {size.codec for size in measured}
    assert all(size.effort != AS_RATED and "of a sample's time" in size.provenance for size in measured)
    assert all(size.effort == AS_RATED for size in kept.codecs if not size.tensor)


def test_a_size_that_was_known_before_is_there_once(model: TorchModel) -> None:
    (tensor,) = model.graph.boundary((model.graph.ops[0].name,))
    known = CodecSize("zstd", 0.5, True, "measured before", tensor=tensor)
    kept = AccuracyBudget(model, 0.02).keep(Costing(codecs=(*DEFAULT_CODECS, known)), smallest(model), list).costing
    (found,) = (size for size in kept.codecs if (size.codec, size.tensor) == ("zstd", tensor))
    assert found.provenance != "measured before"


def test_only_what_could_win_is_calibrated(model: TorchModel) -> None:
    asked = []

    def solve(costing: Costing) -> Sequence[Plan]:
        asked.append(costing)
        return smallest(model)(costing)

    kept = AccuracyBudget(model, 0.02).keep(Costing(), solve, list).costing
    assert {size.tensor for size in kept.codecs if size.tensor} == set(model.graph.boundary((model.graph.ops[0].name,)))
    assert len(asked) <= 3


def test_nothing_is_lossy_without_calibration_inputs(model: TorchModel) -> None:
    blind = replace(model, calibration=())
    kept = AccuracyBudget(blind, 1.0).keep(Costing(), smallest(blind), list).costing
    assert kept.accuracy is not None
    assert not kept.accuracy.allows(model.graph.ops[0].outputs[0], "int8", {})
    assert kept.accuracy.words == "accuracy budget 1 (no calibration inputs)"


def test_budgets_that_leave_codecs_as_much_share_what_was_measured(model: TorchModel) -> None:
    few = replace(model, calibration=(model.calibration[0][:6],))
    findings, cut = CodecFindings(few), (few.graph.ops[0].name,)
    engines = (NO_LOSS, EngineLoss(0.0, 0.0, 0.0, "0 lost by onnxruntime"), EngineLoss(0.015, 0.0, 0.015, "some"))
    first, alike, less = (AccuracyBudget(few, 0.02, one, findings).codecs_at(cut) for one in engines)
    (tensor,) = first
    assert alike[tensor] is first[tensor]
    assert less[tensor] is not first[tensor]


def test_a_budget_that_is_none_is_refused(model: TorchModel) -> None:
    with pytest.raises(InvalidInput, match="accuracy budget"):
        AccuracyBudget(model, 2.0)
