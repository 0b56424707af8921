"""Windows of ONNX graphs: a Slice that ends a constant past its start has a length, wherever the data puts both.

Only the data may put it beyond the end of what is cut, where Slice gives less than that, or before the front, where it
gives nothing. The length is then none that a model states, so sizes are found with windows at the front, and what comes
out short of them is refused (`OnnxSession`), as torch's narrow does it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from partitioner.onnx_branches import free_values
from partitioner.onnx_form import reads
from partitioner.onnx_trial import run_once
from partitioner.pseudo_names import RESERVED

__all__ = ["GraphValues", "is_window", "moving_windows", "with_windows_at_front"]

_RESHAPING = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_INTEGERS = frozenset({onnx.TensorProto.INT32, onnx.TensorProto.INT64})


@dataclass(frozen=True, slots=True)
class GraphValues:
    """made: the node that makes each. free: those that no input's contents decide. whole: constants of integers."""

    made: Mapping[str, onnx.NodeProto]
    free: Collection[str]
    whole: Collection[str]

    @classmethod
    def of(cls, proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> GraphValues:
        """Those of a graph. weights: held outside of it."""
        return cls(
            made={name: node for node in proto.graph.node for name in node.output},
            free=free_values(proto, weights),
            whole={i.name for i in proto.graph.initializer if i.data_type in _INTEGERS},
        )


def is_window(node: onnx.NodeProto, values: GraphValues) -> bool:
    """Whether a Slice ends where it starts and a constant further, along each dimension."""
    ends = _ends(node.input[1], node.input[2], values) if node.op_type == "Slice" and len(node.input) > 2 else ()
    return bool(ends) and all(is_fixed or _moved(a, values) == _moved(b, values) for a, b, is_fixed in ends)


def moving_windows(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor]) -> list[onnx.NodeProto]:
    """The windows that the data places, in order."""
    slices = [node for node in proto.graph.node if node.op_type == "Slice" and len(node.input) > 2]
    if not slices:
        return []
    values = GraphValues.of(proto, weights)
    return [node for node in slices if node.input[1] not in values.free and is_window(node, values)]


def with_windows_at_front(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], samples: Mapping[str, torch.Tensor]
) -> onnx.ModelProto:
    """The graph with each window that the data places at the front of what it is cut out of, or at its back where it
    goes backwards. samples: any inputs: lengths do not depend on them. onnxruntime's own errors pass through."""
    windows = moving_windows(proto, weights)
    if not windows:
        return proto
    values = GraphValues.of(proto, weights)
    placed = onnx.ModelProto()
    placed.CopyFrom(proto)
    nodes = {node.name: node for node in placed.graph.node}
    for window in windows:  # one after the other: the next may be placed by what lies in this one
        ends = list(_ends(window.input[1], window.input[2], values))
        found = _evaluated(placed, {**samples, **weights}, [name for a, b, _ in ends for name in (a, b)])
        at = [_at_front(found[a], found[b], is_fixed) for a, b, is_fixed in ends]
        for place, what in ((0, "start"), (1, "end")):
            name = f"{RESERVED}{window.name}/{what}"  # no value of a file's begins so
            numbers = np.concatenate([pair[place].reshape(-1) for pair in at])
            placed.graph.initializer.append(numpy_helper.from_array(numbers, name))
            nodes[window.name].input[1 + place] = name
    return placed


def _ends(start: str, end: str, values: GraphValues) -> list[tuple[str, str, bool]]:
    """Start and end as the parts that they are put together of, and whether a part is nothing that moves."""
    left, right = (values.made.get(name) for name in (start, end))
    if left and right and left.op_type == right.op_type == "Concat" and len(left.input) == len(right.input):
        return [part for pair in zip(left.input, right.input, strict=True) for part in _ends(*pair, values)]
    return [(start, end, {start, end} <= set(values.free))]


def _moved(name: str, values: GraphValues) -> str:
    """The value that it is in another shape or type, and a constant more or less."""
    is_cast = False  # what is cast may be a fraction: two of them a fraction apart round to any distance
    while name in values.made and name not in values.free:
        node = values.made[name]
        moving = [at for at, read in enumerate(node.input) if read not in values.free]
        adds = (node.op_type == "Add" and len(moving) == 1) or (node.op_type == "Sub" and moving == [0])
        if adds and (not is_cast or node.input[1 - moving[0]] in values.whole):
            name = node.input[moving[0]]
        elif node.op_type in _RESHAPING:
            is_cast = is_cast or node.op_type == "Cast"
            name = node.input[0]
        else:
            break
    return name


def _at_front(start: Any, end: Any, is_fixed: bool) -> tuple[Any, Any]:
    """Of two arrays. What is cut out backwards starts at the last one, -1."""
    if is_fixed:
        return start, end
    first = np.where(end < start, -1, 0).astype(start.dtype)
    return first, first + end - start


def _evaluated(proto: onnx.ModelProto, fed: Mapping[str, torch.Tensor], names: Collection[str]) -> dict[str, Any]:
    """Those values, with nothing run that they are not made of: it may not fit windows that lie elsewhere."""
    wanted, nodes = set(names), []
    for node in reversed(proto.graph.node):
        if not wanted.isdisjoint(node.output):
            nodes.append(node)
            wanted.update(reads(node))
    copies = {name: f"{RESERVED}{name}" for name in names}
    asked = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    asked.graph.name = "windows"
    asked.graph.node.extend(reversed(nodes))
    asked.graph.node.extend(helper.make_node("Identity", [name], [copy]) for name, copy in copies.items())
    asked.graph.initializer.extend(proto.graph.initializer)
    read = {name: tensor for name, tensor in fed.items() if name in wanted}
    found = run_once(asked, read, list(copies.values()))
    return {name: found[copy] for name, copy in copies.items()}
