"""Puts the branch of an If that is always taken in its place: a pinned input or a fixed shape has decided it."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnxruntime
import torch
from onnx import helper

from partitioner.onnx_constants import cpu_session, fold_constants
from partitioner.onnx_file import take_weights
from partitioner.onnx_form import ELEMENT_TYPES, reads
from partitioner.onnx_inputs import OnnxInputs
from partitioner.pseudo_names import RESERVED

__all__ = ["free_values", "inline_branches", "typed_input"]

_BATCHES = (1, 2, 3)
_LONGEST_NAME = 200
_OF_SHAPES = ("Shape", "Size")
"""Operators that read no contents."""


def inline_branches(proto: onnx.ModelProto, weights: dict[str, torch.Tensor], inputs: OnnxInputs) -> None:
    """Inline, in place, every If of the top level whose condition depends on no input's contents and on no batch.

    Those inside of a branch follow once it is in place. Large constants of a branch join `weights`; every node has a
    name of its own afterwards. onnxruntime's own errors pass through.
    """
    while True:
        weights.update(take_weights(proto))
        fold_constants(proto, weights)
        _name_nodes(proto)
        decided = _decided(proto, weights, inputs)
        if not decided:
            return
        nodes: list[onnx.NodeProto] = []
        for node in proto.graph.node:
            nodes += _branch(proto.graph, node, decided[node.name]) if node.name in decided else [node]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)


def _name_nodes(proto: onnx.ModelProto) -> None:
    """Each node's own name where it is one that can be shown and is not taken, else its operator and a number."""
    taken: set[str] = set()
    for at, node in enumerate(proto.graph.node):
        if not node.name or node.name in taken or len(node.name) > _LONGEST_NAME or not node.name.isprintable():
            node.name = f"{node.op_type}_{at}"
        while node.name in taken:
            node.name += "_"
        taken.add(node.name)


def free_values(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> set[str]:
    """The values that depend on no input's contents: constants, shapes, and what is computed from them."""
    free = {i.name for i in proto.graph.initializer} | set(weights)
    for node in proto.graph.node:
        if node.op_type in _OF_SHAPES or all(name in free for name in reads(node)):
            free.update(node.output)
    return free


def _decided(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs) -> dict[str, bool]:
    """The outcome of each condition that is the same for every batch, by the If's name."""
    free = free_values(proto, weights)
    branches = {n.name: n.input[0] for n in proto.graph.node if n.op_type == "If" and n.input[0] in free}
    if not branches:
        return {}
    found = [_evaluated(proto, weights, inputs.samples(batch), sorted(set(branches.values()))) for batch in _BATCHES]
    return {
        name: found[0][condition]
        for name, condition in branches.items()
        if all(one[condition] == found[0][condition] for one in found)
    }


def _evaluated(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], samples: Mapping[str, torch.Tensor], names: list[str]
) -> dict[str, bool]:
    made = {name: at for at, node in enumerate(proto.graph.node) for name in node.output}
    nodes, used, stack = set[int](), set[str](), list(names)
    while stack:
        name = stack.pop()
        if name not in used:
            used.add(name)
            if name in made:
                nodes.add(made[name])
                stack += reads(proto.graph.node[made[name]])
    small = [i for i in proto.graph.initializer if i.name in used]
    constants = {i.name for i in small}
    fed = {name: tensor.numpy() for name, tensor in {**samples, **weights}.items() if name in used}
    graph = helper.make_graph(
        [
            *(proto.graph.node[at] for at in sorted(nodes)),
            *(helper.make_node("Identity", [name], [f"{RESERVED}{name}"]) for name in names),
        ],
        "conditions",
        [typed_input(name, {**samples, **weights}[name]) for name in fed],
        [helper.make_tensor_value_info(f"{RESERVED}{name}", onnx.TensorProto.BOOL, None) for name in names],
        [i for i in small if i.name in constants],
    )
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = cpu_session(model, options)
    return {name: bool(value.reshape(-1)[0]) for name, value in zip(names, session.run(None, fed), strict=True)}


def typed_input(name: str, tensor: torch.Tensor) -> onnx.ValueInfoProto:
    """An input of exactly this tensor's dtype and shape."""
    number = ELEMENT_TYPES[str(tensor.dtype).removeprefix("torch.")]
    return helper.make_tensor_value_info(name, number, list(tensor.shape))


def _branch(graph: onnx.GraphProto, node: onnx.NodeProto, taken: bool) -> list[onnx.NodeProto]:
    """The nodes of the branch, its own values renamed; its constants join those of `graph`."""
    body = next(a.g for a in node.attribute if a.name == ("then_branch" if taken else "else_branch"))
    own = {name for inner in body.node for name in inner.output} | {i.name for i in body.initializer}
    names = {name: f"{node.name}/{name}" for name in own if name}
    for initializer in body.initializer:
        moved = graph.initializer.add()
        moved.CopyFrom(initializer)
        moved.name = names[initializer.name]
    nodes = []
    for inner in body.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(inner)
        copied.name = f"{node.name}/{inner.name}"
        _rename(copied, names)
        nodes.append(copied)
    for outer, made in zip(node.output, body.output, strict=True):
        if outer:
            nodes.append(
                helper.make_node("Identity", [names.get(made.name, made.name)], [outer], f"{node.name}/{outer}")
            )
    return nodes


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Rename what `node` reads and makes, what its bodies capture included; a body's own names hide outer ones."""
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            own = {v.name for v in body.input} | {i.name for i in body.initializer}
            own |= {name for inner in body.node for name in inner.output}
            outer = {old: new for old, new in names.items() if old not in own}
            for inner in body.node:
                _rename(inner, outer)
            for output in body.output:
                output.name = outer.get(output.name, output.name)
