"""Segments on another device ("meta" stands in for a GPU): weights copied once, devices in the graph replaced."""

from __future__ import annotations

import torch
from torch import fx

from nodes.engines.placement import DeviceWeights, place


def segment(weight: torch.Tensor) -> fx.GraphModule:
    graph = fx.Graph()
    ones = graph.call_function(torch.ones, (4,), {"device": torch.device("cpu")})
    graph.output((graph.call_function(torch.add, (ones, graph.get_attr("w"))),))
    return fx.GraphModule({"w": weight}, graph)


def test_the_cpu_takes_segments_as_they_are() -> None:
    module = segment(torch.ones(4))
    assert place(module, "cpu", {}) is module


def test_everything_in_the_graph_moves() -> None:
    (output,) = place(segment(torch.ones(4)), "meta", {})()
    assert output.device.type == "meta"


def test_segments_share_one_copy_of_a_weight() -> None:
    weight, weights = torch.ones(4), DeviceWeights()
    first, second = (place(segment(weight), "meta", weights) for _ in range(2))
    assert first.w is second.w or first.w.data_ptr() == second.w.data_ptr()  # type: ignore[attr-defined]
    assert len(weights) == 1


def test_a_plain_module_is_copied() -> None:
    module = torch.nn.Linear(2, 2)
    place(module, "meta", {})
    assert module.weight.device.type == "cpu"


def test_a_plain_callable_is_left_alone() -> None:
    def same(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (value,)

    assert place(same, "meta", {}) is same
