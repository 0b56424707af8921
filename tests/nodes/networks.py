"""Small networks whose cuts have several boundary tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from partitioner.front_end import model_from_module
from partitioner.model import Calibration, Model
from partitioner.onnx_front_end import model_from_onnx

__all__ = ["SKIP_OPS", "WIDTH", "recurrent_model", "skip_model"]

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


def recurrent_model(path: Path) -> Model:
    """Its state has the batch in the middle; with calibration inputs that go by their first dimension all the same."""
    values: Sequence[tuple[str, list[int | str]]] = (
        ("state", [2, "batch", 3]),
        ("x", ["batch", 3]),
        ("y", ["batch", 3]),
    )
    state, x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in values)
    nodes = [
        helper.make_node("ReduceSum", ["state", "first"], ["sum"], "sum", keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["mixed"], "add"),
        helper.make_node("Relu", ["mixed"], ["y"], "relu"),
    ]
    first = helper.make_tensor("first", onnx.TensorProto.INT64, [1], [0])
    graph = helper.make_graph(nodes, "g", [state, x], [y], [first])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return model_from_onnx(path).calibrated(Calibration((torch.ones(4, 1, 3), torch.ones(4, 3))))
