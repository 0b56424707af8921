"""The graph file of a TorchModel: what `graph.json` holds, and back to the model with what the other files hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from isthmus.errors import InvalidModel
from partitioner.model import NO_CALIBRATION, Calibration
from partitioner.operators import check_operators
from partitioner.program import Program
from partitioner.program_json import program_from_data, program_to_data
from partitioner.spec import Interface
from partitioner.torch_model import TorchModel
from partitioner.weights import stride_order

__all__ = ["read_flops", "torch_graph_data", "torch_model_from_data"]

_REMEDY = "import the model anew"


def torch_graph_data(model: TorchModel) -> dict[str, Any]:
    """Program, flops and stride orders, as JSON takes them."""
    orders = {n: list(stride_order(t)) for n, t in model.weights.items()}
    return {
        "program": program_to_data(model.program),
        "flops": {name: list(law) for name, law in model.flops.items()},
        "stride_orders": {n: order for n, order in orders.items() if order != sorted(order)},
    }


def torch_model_from_data(
    data: Mapping[str, Any],
    stored: Mapping[str, torch.Tensor],
    interface: Interface,
    calibration: Calibration = NO_CALIBRATION,
) -> TorchModel:
    """The model of such a graph file. stored: the weights' contiguous forms. Raises InvalidModel naming the fault."""
    if data.keys() != {"format", "program", "flops", "stride_orders"} or not isinstance(data["stride_orders"], dict):
        raise InvalidModel("graph", "is not a model graph", remedy=_REMEDY)
    program = program_from_data(data["program"])
    check_operators(program)
    weights = _weights(stored, program, data["stride_orders"])
    return TorchModel(program, weights, interface, read_flops(data["flops"]), *calibration)


def read_flops(data: Any) -> dict[str, tuple[int, int]]:
    """(per item, fixed) by op name. Raises InvalidModel."""
    if not isinstance(data, dict) or not all(_is_law(law) for law in data.values()):
        raise InvalidModel("flops", "are not pairs of whole numbers", remedy=_REMEDY)
    return {name: (law[0], law[1]) for name, law in data.items()}


def _is_law(law: Any) -> bool:
    return isinstance(law, list) and len(law) == 2 and all(type(n) is int for n in law)


def _weights(
    stored: Mapping[str, torch.Tensor], program: Program, orders: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    if stored.keys() != set(program.weights):
        raise InvalidModel("weights", "are others than the graph names", remedy=_REMEDY)
    weights = {n: _in_order(stored[n], n, orders.get(n)) for n in program.weights}
    for name, tensor in weights.items():
        kind = program.types[name]
        if str(tensor.dtype) != f"torch.{kind.dtype}" or tuple(tensor.shape) != tuple(d.at(1) for d in kind.shape):
            raise InvalidModel(f"weight {name!r}", "is not what the graph says", remedy=_REMEDY)
    return weights


def _in_order(tensor: torch.Tensor, name: str, order: Any) -> torch.Tensor:
    """A stored tensor with its dimensions where the model has them, strides as they were."""
    if order is None:
        return tensor
    if not isinstance(order, list) or sorted(order) != list(range(tensor.dim())):
        raise InvalidModel(f"weight {name!r}", "has no valid stride order", value=order, remedy=_REMEDY)
    return tensor.permute([order.index(d) for d in range(tensor.dim())])
