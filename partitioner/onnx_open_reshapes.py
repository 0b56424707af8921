"""Opens the sizes that exporters write into an ONNX file's Reshapes when they are told nothing of a batch.

Which of them is the batch's depends on where what a Reshape reads carries it, and that on the Reshapes before it. So
the graph is run twice: as written for one item, and for two with each Reshape choosing by what it then reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from partitioner.onnx_inputs import OnnxInputs
from partitioner.onnx_trial import run_once
from partitioner.pseudo_names import RESERVED

__all__ = ["open_reshapes"]


@dataclass(frozen=True, slots=True)
class _Reshape:
    """written: its sizes in the file. before, after: the shapes of what it reads and makes for one item."""

    node: onnx.NodeProto
    written: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def sizes(self) -> list[tuple[int, ...]]:
        """What to write where all that it reads stays as large for more items, then where dimension 0 of that grows,
        dimension 1, ...

        What grows in front, be it the batch or a multiple of it (its windows), grows in front afterwards; further
        behind, a size that the file leaves open may take it, and which one else is a guess.
        """
        front = (-1, *self.after[1:])
        behind = self.written if {0, -1} & set(self.written) else front
        return [self.written, *(front if prod(self.before[:at]) == 1 else behind for at in range(len(self.before)))]


def open_reshapes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs) -> None:
    """Let one size of a Reshape follow from the others where what it reads grows with the batch, in place.

    For one item it makes what it made. Reshapes of constants stay as they are. onnxruntime's own errors pass through,
    also where the graph bears no second item.
    """
    reshapes = _reshapes(proto, weights, inputs)
    for name, grown in _grown(proto, weights, inputs, reshapes).items():
        reshape = reshapes[name]
        chosen = reshape.sizes[grown]
        if chosen != reshape.written:
            del reshape.node.attribute[:]  # allowzero: no size that is written now is 0
            reshape.node.input[1] = f"{name}/opened shape"
            proto.graph.initializer.append(numpy_helper.from_array(np.array(chosen, np.int64), reshape.node.input[1]))


def _reshapes(proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs) -> dict[str, _Reshape]:
    """Those with written sizes, by name."""
    constants = {i.name: i for i in proto.graph.initializer}
    made = {name for node in proto.graph.node for name in node.output}
    samples = inputs.samples(1)
    nodes = [n for n in proto.graph.node if n.op_type == "Reshape" and n.input[1] in constants]
    nodes = [n for n in nodes if n.input[0] in made or n.input[0] in samples]
    wanted = dict.fromkeys(name for n in nodes for name in (n.input[0], n.output[0]) if name in made)
    values = samples | run_once(proto, {**samples, **weights}, list(wanted)) if wanted else {}
    found = {}
    for node in nodes:
        written = tuple(int(size) for size in numpy_helper.to_array(constants[node.input[1]]))
        before, after = (tuple(values[name].shape) for name in (node.input[0], node.output[0]))
        if after and prod(after):
            found[node.name] = _Reshape(node, written, before, after)
    return found


def _grown(
    proto: onnx.ModelProto, weights: Mapping[str, torch.Tensor], inputs: OnnxInputs, reshapes: Mapping[str, _Reshape]
) -> dict[str, int]:
    """Of each, which of its `sizes` fits what it reads for two items."""
    if not reshapes:
        return {}
    choosing = onnx.ModelProto()
    choosing.CopyFrom(proto)
    del choosing.graph.node[:]
    for node in proto.graph.node:
        if node.name in reshapes:
            _add_choosing(choosing.graph, reshapes[node.name])
        else:
            choosing.graph.node.append(node)
    values = run_once(choosing, {**inputs.samples(2), **weights}, [_added(name, "grown") for name in reshapes])
    return {name: int(values[_added(name, "grown")]) for name in reshapes}


def _added(node: str, what: str) -> str:
    return f"{RESERVED}{node}/{what}"  # no value of a file's begins so


def _add_choosing(graph: onnx.GraphProto, reshape: _Reshape) -> None:
    """The Reshape with sizes out of a table, by the place of the dimension that has twice the size."""
    node, name = reshape.node, reshape.node.name
    shape, more, times, placed, grown, sizes = (
        _added(name, what) for what in ("shape", "more", "times", "placed", "grown", "sizes")
    )
    before, places, table = (_added(name, what) for what in ("before", "places", "table"))
    arrays = {before: reshape.before, places: tuple(range(1, len(reshape.before) + 1)), table: tuple(reshape.sizes)}
    graph.initializer.extend(numpy_helper.from_array(np.array(a, np.int64), key) for key, a in arrays.items())
    changed = onnx.NodeProto()
    changed.CopyFrom(node)
    changed.input[1] = sizes
    graph.node.extend(
        [
            helper.make_node("Shape", [node.input[0]], [shape]),
            helper.make_node("Sub", [shape, before], [more]),
            helper.make_node("Div", [more, before], [times]),
            helper.make_node("Mul", [times, places], [placed]),
            helper.make_node("ReduceSum", [placed], [grown], keepdims=0),
            helper.make_node("Gather", [table, grown], [sizes]),
            changed,
        ]
    )
