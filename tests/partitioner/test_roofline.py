"""The kinds of ops that the roofline tells apart, in the graphs of real models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from onnx import helper
from torch import nn

from partitioner.front_end import model_from_module
from partitioner.graph import ModelGraph
from partitioner.onnx_front_end import model_from_onnx
from partitioner.roofline import kind_group, op_group
from tests.partitioner.test_onnx_front_end import proto, saved, value, weight


def groups(graph: ModelGraph) -> list[str]:
    return [found for op in graph.ops if (found := op_group(graph, op)) != "other"]


def test_depthwise_convolutions_of_torch_are_told_apart() -> None:
    layers = [
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 8, 1),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.ConvTranspose2d(8, 8, 2, groups=8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 25, 2),
    ]
    model = model_from_module(nn.Sequential(*layers).eval(), (torch.zeros(2, 4, 8, 8),))
    assert groups(model.graph) == ["depthwise", "convolution", "convolution", "depthwise", "matmul"]


def test_depthwise_convolutions_of_onnx_are_told_apart(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "each"], ["a"], "each", group=4),
        helper.make_node("Conv", ["a", "mixing"], ["y"], "mixing"),
    ]
    model = proto(nodes, [weight("each", 4, 1, 3, 3), weight("mixing", 6, 4, 1, 1)], [value("x", "batch", 4, 6, 6)])
    assert groups(model_from_onnx(saved(tmp_path / "m.onnx", model)).graph) == ["depthwise", "convolution"]


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("QLinearConv", "convolution"),
        ("QLinearMatMul", "matmul"),
        ("Einsum", "matmul"),
        ("DequantizeLinear", "other"),
        ("DynamicQuantizeLinear", "other"),
    ],
)
def test_quantised_products_of_onnx_are_told_from_rounding(kind: str, group: str) -> None:
    assert kind_group(kind) == group
