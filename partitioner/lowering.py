"""From a Program to something that runs: any slice of it as a torch.fx GraphModule over the shared weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import fx

from partitioner.graph import Dimension
from partitioner.operators import SIZE_FUNCTIONS, resolve
from partitioner.program import Call, Program, Ref, TorchConstant, Value

__all__ = ["CALL", "lower", "needed_calls"]

CALL = "call"
"""Key in a node's meta under which the name of the Program's call stands."""


def lower(
    program: Program, weights: Mapping[str, torch.Tensor], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> fx.GraphModule:
    """A GraphModule that takes the tensors `inputs` and returns the tuple `outputs`.

    It holds every call that `outputs` need and `inputs` do not spare. A name that stands in `inputs` twice is read from
    its first place. The weights are not copied. Numbers that depend on the batch come from the first of `inputs` that
    carries it. Linear in the size of the program.
    """
    return _Lowering(program, weights, inputs).module(outputs)


def needed_calls(program: Program, inputs: Iterable[str], outputs: Iterable[str]) -> tuple[Call, ...]:
    """The calls between `inputs` and `outputs`, in the program's order: one pass backwards over it."""
    given, wanted, found = set(inputs), set(outputs), list[Call]()
    for call in reversed(program.calls):
        if call.name in wanted and call.name not in given:
            found.append(call)
            wanted.update(call.refs())
    return tuple(reversed(found))


class _Lowering:
    """One segment being built: `env` maps the names made so far to their nodes."""

    def __init__(self, program: Program, weights: Mapping[str, torch.Tensor], inputs: tuple[str, ...]) -> None:
        self.program, self.weights, self.inputs = program, weights, inputs
        self.graph, self.env, self.attributes = fx.Graph(), dict[str, fx.Node](), dict[str, torch.Tensor]()
        self.device = next((w.device for w in weights.values()), torch.device("cpu"))
        self.sizes = dict[Dimension, fx.Node | int]()

    def module(self, outputs: tuple[str, ...]) -> fx.GraphModule:
        taken = set(self.inputs)
        for name in self.inputs:
            argument = name
            while name in self.env and argument in taken:  # the second place of a name is an argument that nobody reads
                argument += "_again"
            taken.add(argument)
            self.env.setdefault(name, self.graph.placeholder(argument))
        for call in needed_calls(self.program, self.inputs, outputs):
            self._emit(call)
        self.graph.output(tuple(self._node(name) for name in outputs))
        return fx.GraphModule(self.attributes, self.graph, "Segment")

    def _emit(self, call: Call) -> None:
        args = tuple(self._lower(a) for a in call.args)
        kwargs = {k: self._lower(v) for k, v in call.kwargs}
        node = self.graph.create_node("call_function", resolve(call.target), args, kwargs, name=call.name)
        node.meta[CALL] = call.name
        self.env[call.name] = node

    def _node(self, name: str) -> fx.Node:
        if name not in self.env:
            self.attributes[name] = self.weights[name]
            self.env[name] = self.graph.get_attr(name)
        return self.env[name]

    def _lower(self, value: Value) -> Any:
        match value:
            case Ref(name):
                return self._node(name)
            case Dimension():
                return self._size(value)
            case TorchConstant(kind, name):
                return self.device if kind == "device" else getattr(torch, name)
            case tuple():
                return [self._lower(v) for v in value]
            case _:
                return value

    def _size(self, size: Dimension) -> fx.Node | int:
        """A number that is affine in the batch: made once a segment."""
        if size.per_item == 0:
            return size.fixed
        if size not in self.sizes:
            self.sizes[size] = self._batch() if size == Dimension(1, 0) else self._affine(size)
        return self.sizes[size]

    def _affine(self, size: Dimension) -> fx.Node:
        batch = self._size(Dimension(1, 0))
        scaled = self._arithmetic("sym.mul", batch, size.per_item)
        return self._arithmetic("sym.add", scaled, size.fixed) if size.fixed else scaled

    def _batch(self) -> fx.Node:
        """The batch out of the shape of the first input that carries it, undone where it comes as 12 * batch + 1."""
        name, index, dimension = self._batch_source()
        node = self.graph.call_function(torch.ops.aten.sym_size.int, (self.env[name], index))
        if dimension.fixed:
            node = self._arithmetic("sym.sub", node, dimension.fixed)
        return node if dimension.per_item == 1 else self._arithmetic("sym.floordiv", node, dimension.per_item)

    def _batch_source(self) -> tuple[str, int, Dimension]:
        for name in self.inputs:
            for index, dimension in enumerate(self.program.types[name].shape):
                if dimension.per_item:
                    return name, index, dimension
        raise AssertionError("a boundary without the batch: ModelGraph.boundary adds a tensor that carries it")

    def _arithmetic(self, target: str, left: fx.Node | int, right: int) -> fx.Node:
        return self.graph.call_function(SIZE_FUNCTIONS[target], (left, right))
