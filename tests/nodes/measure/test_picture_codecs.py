"""Lossy pictures under an accuracy budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from nodes.codecs.image import PngCodec
from nodes.codecs.lossy_image import LOSSY_FORMATS
from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.picture_codecs import QUALITIES, as_pictures, lossless_picture, lossy_pictures
from nodes.plan_shapes import cut_plan
from nodes.preprocessing import normalise
from partitioner.cost_model import Costing
from partitioner.plan import Plan, TensorCodec
from partitioner.spec import ImagePreprocessing
from partitioner.torch_model import TorchModel

HOW = ImagePreprocessing(16, 16, 16, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


@pytest.fixture(scope="module")
def model(small_model: TorchModel) -> TorchModel:
    """Takes pictures; judged by direction, where every lossy picture loses a little."""
    pixels = torch.randint(0, 256, (12, 16, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    (spec,), (output,) = small_model.interface.inputs, small_model.interface.outputs
    interface = replace(
        small_model.interface, inputs=(replace(spec, preprocessing=HOW),), outputs=(replace(output, labels=()),)
    )
    return replace(small_model, interface=interface, calibration=(normalise(pixels.numpy(), HOW),))


def losses(model: TorchModel, budget: float) -> dict[str, tuple[str, float]]:
    (spec,) = model.interface.inputs
    found = lossy_pictures(CalibrationRuns(model).at(()), spec.name, HOW, budget)
    return {one.codec.name: (one.codec.parameters["quality"], one.loss) for one in found}


def test_pixels_come_back_from_the_input(model: TorchModel) -> None:
    again = normalise(as_pictures(model.calibration[0], HOW), HOW)
    assert torch.allclose(again, model.calibration[0])


def test_a_lossless_picture_has_the_lengths_of_the_calibration_pictures(model: TorchModel) -> None:
    pixels = as_pictures(model.calibration[0], HOW)
    pixels[:6, 8:] = 0  # half of them are half black, which takes less
    values, made = normalise(pixels, HOW), PngCodec(HOW)
    found = lossless_picture(values, "image", made, HOW)
    lengths = [len(made.encode_pictures("image", one[None]).data) for one in pixels]
    assert (found.tensor, found.codec) == ("image", "png")
    assert abs(found.bytes - sum(lengths) / len(lengths)) <= 0.5
    assert 0 < found.spread_bytes < max(lengths) - min(lengths)


def test_a_wide_budget_takes_the_lowest_quality_of_every_format(model: TorchModel) -> None:
    assert {name: quality for name, (quality, _) in losses(model, 1.0).items()} == dict.fromkeys(
        LOSSY_FORMATS, QUALITIES[0]
    )


def test_a_budget_takes_the_lowest_quality_that_keeps_it(model: TorchModel) -> None:
    _, coarse = losses(model, 1.0)["jpeg"]
    quality, loss = losses(model, 0.9 * coarse)["jpeg"]
    assert quality != QUALITIES[0]
    assert 0.0 < loss <= 0.9 * coarse


def test_no_budget_takes_none(model: TorchModel) -> None:
    assert losses(model, 0.0) == {}


@pytest.mark.parametrize("form", ["tensor", "bytes"])
def test_only_requests_of_files_are_planned_as_pictures(model: TorchModel, form: str) -> None:
    (spec,) = model.interface.inputs

    def solve(costing: Costing) -> Sequence[Plan]:
        pictures = [size for size in costing.codecs if size.codec == "jpeg" and size.tensor == spec.name]
        taken = [TensorCodec(spec.name, one.codec, one.parameters, 100) for one in pictures]
        codecs = {spec.name: taken[0] if taken else "raw"}
        return [replace(cut_plan(model, (), codecs), form=costing.form)]

    budget = AccuracyBudget(model, 0.5)
    (plan,) = solve(budget.keep(Costing(form=form), solve, list).costing)  # type: ignore[arg-type]
    found = budget.accuracy(plan)
    assert (found is not None) == (form == "bytes")
    assert found is None or 0.5 <= found.value < 1.0
