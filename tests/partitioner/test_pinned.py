"""What privacy up to an op keeps on the device, of models with ways around that op."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from partitioner.constraints import Constraints, pinned
from partitioner.cut_problem import OpCost
from partitioner.front_end import model_from_module
from partitioner.graph import ModelGraph
from partitioner.parametric_problem import ParametricProblem, ParametricTensor, Transfer

Way = Callable[[Tensor], Tensor]
FREE = (Transfer("raw", 0.0, 1.0, 0.0),)


class Around(nn.Module):
    """A convolution, and a way around it that joins what it makes."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)
        self.joined = nn.LazyConv2d(2, 3)

    def forward(self, picture: Tensor) -> Tensor:
        features = self.first(picture * 0.5).relu()
        made: Tensor = self.joined(torch.cat((features, self.way(picture), self.second(picture)), 1))
        return made


def crossing(graph: ModelGraph, private_up_to: str) -> set[str]:
    """The tensors that may cross."""
    ops = tuple(OpCost(op.name, 1.0, 1.0) for op in graph.ops)
    tensors = tuple(ParametricTensor(t.name, t.producer, t.consumers, FREE) for t in graph.tensors.values())
    kept = pinned(ParametricProblem(ops, tensors), graph, Constraints(private_up_to=private_up_to))
    return {tensor.name for tensor in kept.tensors if tensor.uplink}


@pytest.mark.parametrize(
    ("way", "shows"),
    [
        (lambda x: x, 0),
        (lambda x: x.flatten(1).view_as(x), 2),
        (lambda x: x * 2.0 - 1.0, 2),
        (lambda x: nn.functional.avg_pool2d(x, 3, 1, 1), 1),
    ],
)
def test_what_still_shows_a_secret_goes_around_no_private_op(way: Way, shows: int) -> None:
    around = Around(way)
    around(torch.zeros(1, 3, 8, 8))
    graph = model_from_module(around.eval(), (torch.zeros(2, 3, 8, 8),), "around").graph
    convolutions = [op for op in graph.ops if op.kind == "conv2d"]
    first = next(op for op in convolutions if op.inputs[0] not in graph.inputs and op.inputs[0] != "cat")
    made = {op.name: set(op.outputs) for op in graph.ops}
    side = [op for op in graph.ops if op.kind in ("reshape", "mul", "sub", "avg_pool2d", "view", "add")]
    may = crossing(graph, first.name)
    assert made[first.name] <= may  # what the private op makes
    assert not may & set(graph.inputs)
    assert not may & {name for op in side for name in op.outputs}
    assert len(side) - 1 == shows  # the first is before the private op
    relu = next(op for op in graph.ops if op.inputs == first.outputs)
    others = {name for op in convolutions for name in op.outputs}
    assert others | set(relu.outputs) <= may


def test_what_the_private_op_makes_may_cross_though_it_mixes_no_places() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    graph = model_from_module(layers.eval(), (torch.zeros(2, 3, 8, 8),), "layers").graph
    first, relu, last = graph.ops
    assert crossing(graph, relu.name) == {*relu.outputs, *last.outputs}
    assert crossing(graph, first.name) == {*first.outputs, *relu.outputs, *last.outputs}
