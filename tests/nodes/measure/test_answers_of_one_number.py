"""A model that answers with one number, a probability for one, is judged by it: codecs and engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nodes.codecs.factory import codec
from nodes.engines.eager import EagerEngine
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.calibration_items import CalibrationRuns
from nodes.measure.codec_sizes import calibrated_transform, lossy_codecs, measured_codec
from nodes.measure.engine_difference import measure_whole_difference
from partitioner.front_end import model_from_module
from partitioner.model import has_classes
from partitioner.spec import ModelSpec
from partitioner.torch_model import TorchModel


class Speech(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.answer = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.features(x)
        return torch.sigmoid(10 * self.answer(seen.square().mean((2, 3))))


@pytest.fixture(scope="module")
def model() -> TorchModel:
    torch.manual_seed(0)
    items = torch.randn(30, 1, 12, 12) * torch.linspace(0.2, 2, 30).view(-1, 1, 1, 1)
    return model_from_module(
        ModelSpec(
            module=Speech().eval(), example_inputs=(items[:2],), name="speech", input_names=("x",),
            output_names=("p",), calibration=(items,), calibration_truth=(0,) * 15 + (1,) * 15,
        )
    )  # fmt: skip


def test_it_ranks_no_classes_even_where_the_truth_is_known(model: TorchModel, small_model: TorchModel) -> None:
    assert not has_classes(model)
    assert has_classes(small_model)


class Places(torch.nn.Module):
    """Of each place of a picture the class, or of all of it."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer, self.size = torch.nn.Conv2d(1, 5, 3, padding=1), size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(self.layer(x), self.size)


@pytest.mark.parametrize(("size", "ranks"), [(1, True), (4, False)])
def test_a_map_with_classes_at_each_of_its_places_is_no_list_of_them(size: int, ranks: bool) -> None:
    made = model_from_module(
        ModelSpec(
            module=Places(size).eval(), example_inputs=(torch.zeros(2, 1, 8, 8),), name="places", input_names=("x",),
            output_names=("y",), calibration=(torch.zeros(3, 1, 8, 8),), calibration_truth=(0, 1, 2),
        )
    )  # fmt: skip
    assert has_classes(made) == ranks


def test_what_three_bits_lose_is_seen(model: TorchModel) -> None:
    cut = [model.graph.ops[0].name]
    found = measure_accuracy(model, cut, dict.fromkeys(model.graph.boundary(cut), "int3"))
    assert found.metric == "closeness"
    assert 0.5 < found.value < 0.995


def test_a_transform_uses_the_budget_and_keeps_it(model: TorchModel) -> None:
    runs = CalibrationRuns(model)
    items = runs.at([model.graph.ops[0].name])
    made = calibrated_transform(model, items, items.segments.boundary[0], 0.05)
    assert made is not None
    assert 0.02 < made.measured.loss <= 0.05


def test_no_codec_over_the_budget_is_found(model: TorchModel) -> None:
    runs = CalibrationRuns(model)
    items = runs.at([model.graph.ops[0].name])
    tensor = items.segments.boundary[0]
    assert measured_codec(items, tensor, codec("int3")).loss > 1e-3
    assert "int3" not in [one.codec.name for one in lossy_codecs(runs, items, tensor, 1e-3)]


def test_an_engine_is_judged_by_it(model: TorchModel, small_model: TorchModel) -> None:
    found = measure_whole_difference(model, EagerEngine())
    assert found.closeness == 1.0
    assert replace(found, closeness=0.75, cosine=1.0).loss(has_classes(model)) == 0.25
    assert measure_whole_difference(small_model, EagerEngine()).closeness is None
