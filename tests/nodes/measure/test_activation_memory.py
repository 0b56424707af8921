"""What activations hold at once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nodes.measure.activation_memory import peak_activation_bytes, peak_allocated_bytes
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


def test_what_is_allocated_is_seen_without_ops_being_watched(capfd: pytest.CaptureFixture[str]) -> None:
    def two_at_once(x: torch.Tensor) -> torch.Tensor:
        half = x[:500] + 1  # gone before the most is held
        del half
        return (x + 1).exp()

    x = torch.zeros(1000)
    assert peak_allocated_bytes(two_at_once, (x,), "cpu") == 3 * 4000 == peak_activation_bytes(two_at_once, (x,))
    assert capfd.readouterr().err == ""
