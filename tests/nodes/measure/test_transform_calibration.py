"""The calibrated step keeps to its budget, and no finer than that."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isthmus.errors import InvalidInput
from nodes.codecs.base import Codec
from nodes.codecs.transform import TransformCodec
from nodes.measure.calibration_items import CalibrationItems
from nodes.measure.sensitivity import boundary_gradients, boundary_tensors
from nodes.measure.transform_calibration import calibrated_codec, calibrated_step, finer_factor
from nodes.measure.transform_fit import TransformFit, fit_transform
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
