"""A small classifier as a Model: convolution, chunk (several results), shared sizes, two linear layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from partitioner.front_end import model_from_module
from partitioner.spec import ModelSpec
from partitioner.torch_model import TorchModel


class Small(nn.Module):
    """float32 (batch, 3, 16, 16) to (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm, self.linear = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(784, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.norm(self.convolution(x)).relu().chunk(2, dim=1)
        classes: torch.Tensor = self.linear((left + right).flatten(1))
        return classes


@pytest.fixture(scope="session")
def small_model() -> TorchModel:
    """Untrained, with labels and six calibration inputs."""
    torch.manual_seed(0)
    calibration = torch.randn(6, 3, 16, 16)
    return model_from_module(
        ModelSpec(
            Small().eval(),
            (torch.randn(2, 3, 16, 16),),
            name="small",
            output_names=("classes",),
            labels={"classes": tuple("abcde")},
            calibration=(calibration,),
        )
    )
