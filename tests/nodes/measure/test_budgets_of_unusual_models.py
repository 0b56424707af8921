"""An accuracy budget for models in other number formats, of answers that are no numbers, and of large tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from nodes.measure.accuracy_budget import AccuracyBudget
from nodes.measure.codec_rates import codec_sample
from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from partitioner.torch_model import TorchModel


def network(last: Sequence[torch.nn.Module] = (), dtype: torch.dtype = torch.float32, **more: Any) -> TorchModel:
    """A convolution after which a transform can be calibrated, and ten numbers; then `last`."""
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 256, 10))
    items = torch.randn(8, 3, 16, 16, dtype=dtype)
    spec = ModelSpec(
        module=torch.nn.Sequential(*layers, *last).to(dtype).eval(), example_inputs=(items[:2],), name="network",
        input_names=("x",), output_names=("y",), calibration=(items,), **more,
    )  # fmt: skip
    return model_from_module(spec)


def codecs_after_the_first_op(model: TorchModel, budget: float = 0.1) -> set[str]:
    first = [model.graph.ops[0].name]
    (found,) = AccuracyBudget(model, budget).codecs_at(first).values()
    return {one.codec.name for one in found}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_transform_is_calibrated_in_any_floating_format(dtype: torch.dtype) -> None:
    assert "transform" in codecs_after_the_first_op(network(dtype=dtype))


class Logarithm(torch.nn.Module):
    """NaN where a number is below zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.log()


class Overflow(torch.nn.Module):
    """Infinity for the first class."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x[:, :1] + torch.inf, x[:, 1:]), 1)


@pytest.mark.parametrize("last", [Logarithm(), Overflow()])
@pytest.mark.parametrize("more", [{}, {"calibration_truth": (1,) * 8}])
def test_of_answers_that_are_no_numbers_lossless_codecs_are_left(last: torch.nn.Module, more: dict[str, Any]) -> None:
    """Whatever lossy ones are found: what became NaN agrees with nothing."""
    assert {"zstd", "lz4"} <= codecs_after_the_first_op(network([last], **more))


def test_how_long_a_codec_takes_is_sampled_of_no_more_places_than_a_transform_has() -> None:
    sample = codec_sample("transform", 64 * 300 * 300 * 4)
    assert sample.size_bytes == 48 * 256 * 256 * 4
