"""Ratios as measured on calibration inputs, and transforms that keep to a budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from nodes.codecs.factory import codec
from nodes.measure.accuracy import measure_accuracy
from nodes.measure.codec_sizes import calibrated_transforms, measured_sizes
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from partitioner.torch_model import TorchModel


@pytest.fixture(scope="module")
def model(small_model: TorchModel) -> TorchModel:
    inputs = torch.randn(100, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    return replace(small_model, calibration=(inputs,))


def first_op(model: TorchModel) -> tuple[str, ...]:
    return (model.graph.ops[0].name,)


def test_every_codec_is_measured_on_the_tensor(model: TorchModel) -> None:
    sizes = {size.codec: size for size in measured_sizes(model, first_op(model))}
    assert {"raw", "zstd", "int8", "int3"} <= set(sizes)
    assert sizes["raw"].ratio == 1.0
    assert sizes["int3"].ratio < sizes["int8"].ratio < 0.3
    assert {size.tensor for size in sizes.values()} == set(model.graph.boundary(first_op(model)))
    assert "100 calibration items" in sizes["int8"].provenance


def test_a_budget_brings_a_transform_with_its_table(model: TorchModel) -> None:
    (found,) = (size for size in measured_sizes(model, first_op(model), 0.05) if size.codec == "transform")
    made = codec(found.codec, found.parameters)
    assert measure_accuracy(model, first_op(model), {found.tensor: made}).value >= 0.9
    assert not found.lossless


class Words(nn.Module):
    """int64 (batch, 8) to (batch, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.embedding(ids)
        return vectors.sum(1)


def test_integers_have_lossless_sizes_only() -> None:
    ids = torch.arange(16).reshape(2, 8)
    words = model_from_module(ModelSpec(Words(), (ids,), name="words", calibration=(ids,)))
    assert {size.codec for size in measured_sizes(words, ())} == {"raw", "zstd", "lz4"}


def test_without_calibration_inputs_nothing_is_measured(model: TorchModel) -> None:
    assert measured_sizes(replace(model, calibration=()), first_op(model)) == ()


def test_small_tensors_get_no_transform(model: TorchModel) -> None:
    last = tuple(op.name for op in model.graph.ops[:-1])
    assert not calibrated_transforms(model, last, 0.05)
