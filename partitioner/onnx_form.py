"""A whole model at the ONNX level, its structure apart from its weights, and the tensors that it may be cut at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import onnx
import torch

from partitioner.graph import Dimension, ModelGraph

__all__ = ["ELEMENT_TYPES", "OnnxForm", "captured_names", "reads", "subgraphs"]

ELEMENT_TYPES: Mapping[str, int] = {
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "float64": onnx.TensorProto.DOUBLE,
    "bfloat16": onnx.TensorProto.BFLOAT16,
    "bool": onnx.TensorProto.BOOL,
    "uint8": onnx.TensorProto.UINT8,
    "int8": onnx.TensorProto.INT8,
    "int16": onnx.TensorProto.INT16,
    "int32": onnx.TensorProto.INT32,
    "int64": onnx.TensorProto.INT64,
    "uint16": onnx.TensorProto.UINT16,
    "uint32": onnx.TensorProto.UINT32,
    "uint64": onnx.TensorProto.UINT64,
}
"""ONNX's number of each dtype that a tensor of both worlds may have."""


@dataclass(frozen=True, slots=True, eq=False)
class OnnxForm:
    """model: flat (no functions), nodes in topological order and each with a name of its own, small constants inside.

    weights: the large constants by initializer name, contiguous on the CPU. values: the ONNX value that holds each
    tensor of `graph`. producers: the position of the node that makes each ONNX value. shapes: of those that are known.
    """

    model: onnx.ModelProto
    weights: Mapping[str, torch.Tensor]
    graph: ModelGraph
    values: Mapping[str, str]
    producers: Mapping[str, int] = field(init=False, repr=False)
    shapes: Mapping[str, tuple[Dimension, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        made = {name: at for at, node in enumerate(self.model.graph.node) for name in node.output if name}
        object.__setattr__(self, "producers", made)
        shapes = {self.values[name]: info.shape for name, info in self.graph.tensors.items() if name in self.values}
        object.__setattr__(self, "shapes", shapes)

    @property
    def opset(self) -> int:
        """The version of the standard operators."""
        return next(o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx"))

    def owners(self) -> dict[str, str]:
        """The op of the graph that each node, by name, belongs to. What makes only sizes and constants has none."""
        owners: dict[str, str] = {}
        tensors = set(self.values.values())
        for op in self.graph.ops:
            stack = [self.values[name] for name in op.outputs]
            while stack:
                at = self.producers.get(stack.pop())
                node = None if at is None else self.model.graph.node[at]
                if node is not None and node.name not in owners:
                    owners[node.name] = op.name
                    stack += [name for name in reads(node) if name not in tensors]
        return owners


def reads(node: onnx.NodeProto) -> tuple[str, ...]:
    """The values that `node` reads, those that its subgraphs capture from outside included; each once."""
    inside = (name for body in subgraphs(node) for name in captured_names(body))
    return tuple(dict.fromkeys(name for name in (*node.input, *inside) if name))


def captured_names(body: onnx.GraphProto) -> Iterator[str]:
    """What a subgraph reads from outside: names that it neither takes nor makes. Repeats are possible."""
    known = {v.name for v in body.input} | {i.name for i in body.initializer}
    for node in body.node:
        yield from (name for name in reads(node) if name not in known)
        known.update(node.output)
    yield from (v.name for v in body.output if v.name not in known)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that `node` holds: branches of an If, the body of a Loop or Scan."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs
