"""Puts a segment on a device: its weights are copied there once, and the devices named in its graph are replaced."""

from __future__ import annotations

import copy
from operator import attrgetter
from typing import cast

import torch
from torch import fx
from torch.fx.node import Argument, map_aggregate

from nodes.engines.base import Runnable

__all__ = ["DeviceWeights", "place"]

DeviceWeights = dict[tuple[object, ...], tuple[torch.Tensor, torch.Tensor]]
"""By address, shape, strides and dtype of a host tensor: it (so that its address is not reused) and its copy."""


def place(segment: Runnable, device: str, weights: DeviceWeights) -> Runnable:
    """`segment` itself on the CPU; elsewhere a copy of it whose weights are there. `weights` is filled for the next.

    Anything but a torch module is left as it is: it gets its tensors on the device.
    """
    if device == "cpu" or not isinstance(segment, torch.nn.Module):
        return segment
    if isinstance(segment, fx.GraphModule):
        return _placed_graph(segment, device, weights)
    return copy.deepcopy(segment).to(device)


def _placed_graph(module: fx.GraphModule, device: str, weights: DeviceWeights) -> fx.GraphModule:
    graph, attributes = fx.Graph(), {}
    graph.output(graph.graph_copy(module.graph, {}))
    for node in graph.nodes:
        if node.op == "get_attr":
            attributes[str(node.target)] = _copied(attrgetter(str(node.target))(module), device, weights)
        _rename_device(node, device)
    return fx.GraphModule(attributes, graph, "Segment")


def _rename_device(node: fx.Node, device: str) -> None:
    args, kwargs = (
        map_aggregate(given, lambda value: _device_for(value, device)) for given in (node.args, node.kwargs)
    )
    node.args, node.kwargs = cast("tuple[Argument, ...]", args), cast("dict[str, Argument]", kwargs)


def _device_for(value: Argument, device: str) -> Argument:
    return torch.device(device) if isinstance(value, torch.device) else value


def _copied(tensor: torch.Tensor, device: str, weights: DeviceWeights) -> torch.Tensor:
    key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
    if key not in weights:
        weights[key] = (tensor, tensor.to(device))
    return weights[key][1]
