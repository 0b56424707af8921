"""Dynamically quantised ONNX graphs, with the scales of a whole batch held for its items.

DynamicQuantizeLinear takes its scale from all that it reads, so an item is rounded otherwise in a batch than alone, and
again behind each such node: a difference that grows with the depth and says nothing of whether items mix. With the
scales held it is gone, and what is left of any is mixing.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch
from onnx import helper, numpy_helper

from partitioner.onnx_form import OnnxForm
from partitioner.onnx_model import OnnxModel

__all__ = ["ONE_STEP", "has_dynamic_scales", "held_scales"]

ONE_STEP = 1 / 255
"""Of eight bits' range. Kernels for other sizes add in another order, and a value next to a half then rounds to the
other side: a step of its own tensor's range, and so no more than about that of what is made of it."""


def has_dynamic_scales(model: OnnxModel) -> bool:
    """Whether any scale that flows follows from what an input holds."""
    return bool(_dynamic(model))


def held_scales(model: OnnxModel, batch: Sequence[torch.Tensor]) -> OnnxForm:
    """The model with each scale and zero point that `batch` gives as a constant. batch: a tensor for each input."""
    nodes = _dynamic(model)
    names = tuple(name for node in nodes for name in node.output[1:])
    found = model.segment(model.graph.inputs, names)(*batch)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.initializer.extend(
        numpy_helper.from_array(tensor.numpy(), name) for name, tensor in zip(names, found, strict=True)
    )
    replaced = {node.name for node in nodes}
    for node in proto.graph.node:
        if node.name in replaced:
            quantised, scale, zero = node.output
            held = helper.make_node("QuantizeLinear", [node.input[0], scale, zero], [quantised], node.name)
            node.CopyFrom(held)
    return OnnxForm(proto, model.weights, model.graph, model.onnx_form.values)


def _dynamic(model: OnnxModel) -> list[onnx.NodeProto]:
    """The nodes that make such scales, but for those that the model hands out: these are answers."""
    given = set(model.graph.outputs)
    return [
        node
        for node in model.proto.graph.node
        if node.op_type == "DynamicQuantizeLinear" and node.output[0] in model.graph.tensors
        if given.isdisjoint(node.output[1:])
    ]
