"""The calibrated step keeps to its budget, and no finer than that."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isthmus.errors import InvalidInput
from nodes.codecs.base import Codec
from nodes.codecs.transform import TransformCodec
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns
from nodes.measure.codec_sizes import calibrated_transform
from nodes.measure.sensitivity import boundary_gradients, boundary_tensors
from nodes.measure.transform_calibration import calibrated_codec, calibrated_step, finer_factor
from nodes.measure.transform_fit import TransformFit, fit_transform
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from partitioner.torch_model import TorchModel


def calibration(model: TorchModel, seed: int, count: int = 200) -> CalibrationItems:
    inputs = (torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)),)
    segments = model.split([op.name for op in model.graph.ops[:1]])
    boundary = boundary_tensors(segments, inputs)
    with torch.inference_mode():
        outputs = model(*inputs)[0]
    return CalibrationItems(segments, boundary, outputs, range(count), bool(model.interface.outputs[0].labels))


def fitted(model: TorchModel, items: CalibrationItems) -> TransformFit:
    tensor = items.segments.boundary[0]
    return fit_transform(items.boundary[0], boundary_gradients(model, items.segments, items.boundary, tensor))


def agreement(judged: CalibrationItems, made: Codec) -> float:
    tensor = judged.segments.boundary[0]
    return judged.quality({tensor: judged.crossed(tensor, made).values}).agreement.value


def test_rounding_without_coding_is_what_the_codec_gives(small_model: TorchModel) -> None:
    items = calibration(small_model, 1, 60)
    fit, tensor = fitted(small_model, items), items.segments.boundary[0]
    made = TransformCodec({"table": fit.table(0.05).to_text()})
    coded, rounded, values = items.crossed(tensor, made).values, fit.rounded(0.05), items.values(tensor)
    assert float((rounded - values).norm()) == pytest.approx(float((coded - values).norm()), rel=0.05)


def test_as_many_classes_change_as_the_budget_allows(small_model: TorchModel) -> None:
    items, judged = calibration(small_model, 1), calibration(small_model, 2, 600)
    made = calibrated_codec(fitted(small_model, items), items, items.segments.boundary[0], 0.05)
    assert 0.02 < 1 - agreement(judged, made) < 0.06


def test_cosine_similarity_keeps_to_the_budget(small_model: TorchModel) -> None:
    output = replace(small_model.interface.outputs[0], labels=())
    model = replace(small_model, interface=replace(small_model.interface, outputs=(output,)))
    items, judged = calibration(model, 1), calibration(model, 2)
    made = calibrated_codec(fitted(model, items), items, items.segments.boundary[0], 0.01)
    assert 0.004 < 1 - agreement(judged, made) < 0.01


def test_a_step_that_loses_too_much_is_shrunk_by_what_it_takes(small_model: TorchModel) -> None:
    items = calibration(small_model, 1, 60)
    fit, tensor = fitted(small_model, items), items.segments.boundary[0]
    step = 3 * calibrated_step(fit, items, tensor, 0.02)
    answers = items.answers({tensor: fit.rounded(step)})
    assert 1 - items.quality_of(answers).agreement.value > 0.02
    for _ in range(4):
        step *= finer_factor(items, answers, 0.02)
        answers = items.answers({tensor: fit.rounded(step)})
        if 1 - items.quality_of(answers).agreement.value <= 0.02:
            return
    pytest.fail("the step was shrunk four times, and still loses too much")


def test_a_larger_budget_allows_a_coarser_step(small_model: TorchModel) -> None:
    items = calibration(small_model, 1, 60)
    fit, tensor = fitted(small_model, items), items.segments.boundary[0]
    assert calibrated_step(fit, items, tensor, 0.1) > 1.5 * calibrated_step(fit, items, tensor, 0.02)


@pytest.mark.parametrize("budget", [0.0, 0.2, -0.1])
def test_a_budget_that_is_none_is_refused(small_model: TorchModel, budget: float) -> None:
    items = calibration(small_model, 1, 10)
    with pytest.raises(InvalidInput, match="budget"):
        calibrated_step(fitted(small_model, items), items, items.segments.boundary[0], budget)


class Classifier(torch.nn.Module):
    """Three classes, and one more that is never to be answered."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.features, self.answer, self.masked = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Linear(8, 3), masked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.answer(self.features(x).relu().mean((2, 3)) * 30)
        return torch.nn.functional.pad(logits, (0, 1), value=-torch.inf) if self.masked else logits


def test_a_masked_class_changes_nothing() -> None:
    steps = []
    for masked in (False, True):
        torch.manual_seed(1)
        inputs = torch.randn(60, 3, 12, 12)
        spec = ModelSpec(
            module=Classifier(masked).eval(), example_inputs=(inputs[:2],), name="m", input_names=("x",),
            output_names=("y",), calibration=(inputs,), calibration_truth=(0,) * 60,
        )  # fmt: skip
        model = model_from_module(spec)
        items = CalibrationRuns(model).at([model.graph.ops[0].name])
        made = calibrated_transform(model, items, items.segments.boundary[0], 0.05)
        assert made is not None
        assert made.measured.loss <= 0.05
        steps.append(made.step)
    assert steps[1] == pytest.approx(steps[0], rel=0.2)
