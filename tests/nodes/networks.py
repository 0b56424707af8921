"""Small networks whose cuts have several boundary tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from partitioner.front_end import model_from_module
from partitioner.model import Model

__all__ = ["SKIP_OPS", "WIDTH", "skip_model"]

WIDTH = 16
SKIP_OPS = 6
"""The ops of the encoder: cut behind them, its three levels cross."""


class Skipping(nn.Module):
    """An encoder of three levels, each of which its decoder reads."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList([nn.Linear(WIDTH, 32), nn.Linear(32, 24), nn.Linear(24, 8)])
        self.decoder = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        """One answer an item."""
        made = []
        for level in self.levels:
            x = torch.relu(level(x))
            made.append(x)
        answer: Tensor = self.decoder(torch.cat(made, 1))
        return answer


def skip_model() -> Model:
    """The same weights every time."""
    torch.manual_seed(0)
    return model_from_module(Skipping().eval(), (torch.zeros(2, WIDTH),), "skipping")
