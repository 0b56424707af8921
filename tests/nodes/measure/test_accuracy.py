"""What codecs do to the answers: nothing when lossless, little with eight bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from isthmus.errors import InvalidModel
from nodes.codecs.factory import codec
from nodes.measure.accuracy import measure_accuracy, measure_quality
from nodes.measure.answer_agreement import agreement
from partitioner.torch_model import TorchModel


@pytest.mark.parametrize("name", ["raw", "zstd", "lz4"])
def test_lossless_codecs_agree_fully(small_model: TorchModel, name: str) -> None:
    cut = [op.name for op in small_model.graph.ops[:2]]
    boundary = small_model.graph.boundary(cut)
    found = measure_accuracy(small_model, cut, dict.fromkeys(boundary, name))
    assert (found.metric, found.value, found.n) == ("top1_agreement", 1.0, 6)


def test_eight_bits_agree_closely_in_direction(small_model: TorchModel) -> None:
    outputs = replace(small_model.interface.outputs[0], labels=())
    model = replace(small_model, interface=replace(small_model.interface, outputs=(outputs,)))
    cut = [op.name for op in model.graph.ops[:1]]
    found = measure_accuracy(model, cut, dict.fromkeys(model.graph.boundary(cut), "int8"))
    assert found.metric == "cosine"
    assert 0.99 < found.value < 1.0


def test_a_model_without_calibration_inputs_is_refused(small_model: TorchModel) -> None:
    with pytest.raises(InvalidModel, match="calibration"):
        measure_accuracy(replace(small_model, calibration=()), (), {})


def test_codecs_may_be_given_as_made(small_model: TorchModel) -> None:
    cut = [op.name for op in small_model.graph.ops[:2]]
    (tensor,) = small_model.graph.boundary(cut)
    made = measure_quality(small_model, cut, {tensor: codec("int4")})
    assert made == measure_quality(small_model, cut, {tensor: "int4"})
    assert made.max_abs > 0


def test_agreement_is_one_value_an_item() -> None:
    whole, other = torch.eye(3), torch.eye(3)[[0, 2, 2]]
    assert agreement("top1_agreement", whole, other).tolist() == [1.0, 0.0, 1.0]
    assert agreement("cosine", whole, other).tolist() == [1.0, 0.0, 1.0]
