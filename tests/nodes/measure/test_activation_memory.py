"""What activations hold at once."""

from __future__ import annotations

import torch
from torch import nn

from nodes.measure.activation_memory import peak_activation_bytes
from partitioner.torch_model import TorchModel


def test_a_chain_holds_two_neighbours_at_once() -> None:
    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(5):
            x = x + 1
        return x

    x = torch.zeros(1000)  # the caller's own stays alive to the end
    assert peak_activation_bytes(chain, (x,)) == 3 * 4000


def test_a_view_takes_nothing() -> None:
    x = torch.zeros(10, 100)
    assert peak_activation_bytes(lambda x: x.reshape(100, 10).transpose(0, 1), (x,)) == 4000


def test_parameters_are_not_activations() -> None:
    layer = nn.Linear(100, 100)
    x = torch.zeros(1, 100)
    assert peak_activation_bytes(layer, (x,), layer.parameters()) < 100 * 100 * 4


def test_a_model_holds_its_widest_place(small_model: TorchModel) -> None:
    x = torch.zeros(1, 3, 16, 16)
    peak = peak_activation_bytes(small_model, (x,), small_model.weights.values())
    widest = max(t.bytes_at(1) for t in small_model.graph.tensors.values())
    assert widest <= peak <= x.nbytes + sum(t.bytes_at(1) for t in small_model.graph.tensors.values())
