"""What still shows a model's inputs as they came, and plans that keep it on the edge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from partitioner.front_end import model_from_module
from partitioner.raw_tensors import raw_tensors

Change = Callable[[Tensor], Tensor]


class Changed(nn.Module):
    """A change of the picture, then a convolution."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change
        self.layer = nn.Conv2d(3, 4, 3)

    def forward(self, picture: Tensor) -> Tensor:
        made: Tensor = self.layer(self.change(picture))
        return made.relu()


def _padded_and_scaled(picture: Tensor) -> Tensor:
    return (nn.functional.pad(picture, (0, 1, 0, 1)) - 0.5) / 0.25


def _resized(picture: Tensor) -> Tensor:
    return nn.functional.interpolate(picture, scale_factor=2.0, mode="bilinear")


def _turned(picture: Tensor) -> Tensor:
    return picture.transpose(2, 3).flip(1).to(torch.float64).to(torch.float32)


@pytest.mark.parametrize("change", [_padded_and_scaled, _resized, _turned])
def test_a_picture_that_was_only_moved_or_scaled_is_the_picture(change: Change) -> None:
    graph = model_from_module(Changed(change).eval(), (torch.randn(2, 3, 8, 8),)).graph
    before = [op for op in graph.ops if "conv" not in op.kind and op.kind != "relu"]
    assert before
    assert raw_tensors(graph) == {*graph.inputs, *(name for op in before for name in op.outputs)}


def _centred(picture: Tensor) -> Tensor:
    return (picture - picture.mean((1, 2, 3), keepdim=True)) / picture.std((1, 2, 3), keepdim=True)


def _patches(picture: Tensor) -> Tensor:
    return nn.functional.unfold(picture, 2, stride=2).view(-1, 3, 4, 16)


@pytest.mark.parametrize("change", [_centred, _patches])
def test_what_the_convolution_reads_is_the_picture_less_its_mean_or_in_patches(change: Change) -> None:
    graph = model_from_module(Changed(change).eval(), (torch.randn(2, 3, 8, 8),)).graph
    (layer,) = (op for op in graph.ops if "conv" in op.kind)
    raw = raw_tensors(graph)
    assert set(layer.inputs) <= raw
    assert not set(layer.outputs) & raw


class Tokens(nn.Module):
    """Word and position, a norm, a layer; the words also past it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(50, 8), nn.Embedding(4, 8)
        self.norm, self.layer = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, ids: Tensor) -> Tensor:
        words = self.words(ids) + self.places(torch.arange(4))
        made: Tensor = self.layer(self.norm(words))
        return torch.cat((made, words), 2) + made.repeat(1, 1, 2)


def test_words_looked_up_are_the_words_and_a_part_of_others_shows_them_too() -> None:
    """A sum with what is no input shows them no more."""
    graph = model_from_module(Tokens().eval(), (torch.zeros(2, 4, dtype=torch.int64),)).graph
    shown = [op.kind for op in graph.ops if set(op.outputs) & raw_tensors(graph)]
    assert shown == ["embedding", "add", "cat"]
