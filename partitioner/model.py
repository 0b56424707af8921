"""Model: a graph with its weights and its public face; what everything else is handed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from isthmus.errors import InvalidModel
from partitioner.derive_graph import derive_graph
from partitioner.graph import ModelGraph
from partitioner.lowering import lower
from partitioner.program import Program
from partitioner.program_json import program_to_data
from partitioner.segments import Segments, split
from partitioner.spec import Interface
from partitioner.weights import contiguous_form, stride_order

__all__ = ["Model", "Segments", "canonical_json"]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as data, ready to be cut.

    weights: by the names in `program.weights`. flops: (per item, fixed) by op name. calibration: tensors that stand for
    real traffic, may be empty. Raises InvalidModel when the interface does not fit the program.
    """

    program: Program
    weights: Mapping[str, torch.Tensor]
    interface: Interface
    flops: Mapping[str, tuple[int, int]]
    calibration: tuple[torch.Tensor, ...] = ()
    graph: ModelGraph = field(init=False)
    digest: str = field(init=False)
    _whole: fx.GraphModule = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_interface(self.program, self.interface)
        object.__setattr__(self, "graph", derive_graph(self.program, self.flops))
        object.__setattr__(self, "digest", _digest(self))
        whole = lower(self.program, self.weights, self.program.inputs, self.program.outputs)
        object.__setattr__(self, "_whole", whole)

    @property
    def name(self) -> str:
        """The model's public name."""
        return self.interface.name

    def split(self, edge_ops: Iterable[str]) -> Segments:
        """The two sides of a cut. Raises InvalidPlan when `edge_ops` is not closed under predecessors."""
        return split(self.program, self.weights, self.graph, edge_ops)

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The whole model: one tensor for each output, in order."""
        outputs: tuple[torch.Tensor, ...] = self._whole(*inputs)
        return outputs


def canonical_json(data: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(model: Model) -> str:
    """SHA-256 over the program, the interface and every weight with its dtype, shape, stride order and bytes."""
    found = hashlib.sha256(canonical_json(program_to_data(model.program)).encode())
    found.update(model.interface.to_json().encode())
    for name in sorted(model.weights):
        tensor = model.weights[name]
        found.update(canonical_json([name, str(tensor.dtype), list(tensor.shape), list(stride_order(tensor))]).encode())
        found.update(_raw_bytes(tensor))
    return found.hexdigest()


def _raw_bytes(tensor: torch.Tensor) -> memoryview:
    flat: Any = contiguous_form(tensor).cpu().reshape(-1).view(torch.uint8).numpy()
    return memoryview(flat)


def _check_interface(program: Program, interface: Interface) -> None:
    names = tuple(i.name for i in interface.inputs)
    if names != program.inputs:
        raise InvalidModel("input names", "differ from the graph's inputs", value=names, remedy=f"use {program.inputs}")
    if len(interface.outputs) != len(program.outputs):
        problem = f"names {len(interface.outputs)} outputs, the model has {len(program.outputs)}"
        raise InvalidModel("output names", problem, remedy="name every output once, in order")
