"""What a compiling engine makes of a segment: the ops between the inputs that they read and the outputs that they make.

The rest of a segment needs no compiler: an output that is also an input is handed through, a weight is handed out, an
input that no op reads is dropped. So a suffix and the cloud's form of it, which never sees what the edge kept, are one
slice and are compiled once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import fx

from isthmus.errors import InvalidModel, InvalidRequest
from nodes.engines.base import Runnable
from partitioner.graph import Dimension
from partitioner.lowering import lower, needed_calls
from partitioner.program import Call, Program, TensorType, values
from partitioner.torch_model import TorchModel, TorchSegment

__all__ = ["CompiledRun", "CompiledSlice", "slice_of"]

Tensors = tuple[torch.Tensor, ...]
CompiledRun = Callable[[list[torch.Tensor]], "list[torch.Tensor]"]
"""Compiled ops: contiguous tensors for the slice's inputs to tensors for its outputs."""


@dataclass(frozen=True, slots=True)
class CompiledSlice:
    """`inputs` are read, `outputs` are made by ops; no name stands twice. Without outputs there is nothing to do."""

    model: TorchModel = field(repr=False, compare=False)
    model_digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def module(self) -> fx.GraphModule:
        """Its ops as torch runs them, over the model's own weights."""
        return lower(self.model.program, self.model.weights, self.inputs, self.outputs)

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        """One for each of `inputs`."""
        return tuple(self.model.program.types[name] for name in self.inputs)

    def arguments(self, tensors: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """Its inputs out of `tensors`, contiguous: compiled code reads memory as it was told that it lies.

        Raises InvalidRequest for a wrong dtype or shape, which compiled code would not notice.
        """
        arguments = [tensors[name] for name in self.inputs]
        batch = None
        for name, kind, tensor in zip(self.inputs, self.input_types, arguments, strict=True):
            batch = _checked_batch(name, kind, tensor, batch)
        return [tensor.contiguous() for tensor in arguments]


def slice_of(segment: Runnable, engine: str) -> CompiledSlice:
    """What of `segment` is to be compiled. Raises InvalidModel for what is no segment of a torch model."""
    if not isinstance(segment, TorchSegment):
        remedy = "use engine: eager or onnxruntime"
        raise InvalidModel("segment", f"is of no torch model, and {engine} runs no other", remedy=remedy)
    program, given = segment.model.program, tuple(dict.fromkeys(segment.inputs))
    held = {*given, *program.weights}
    made = tuple(name for name in dict.fromkeys(segment.outputs) if name not in held)
    return CompiledSlice(segment.model, segment.model.digest, _inputs_read(program, given, made), made)


def _inputs_read(program: Program, given: tuple[str, ...], made: tuple[str, ...]) -> tuple[str, ...]:
    calls = needed_calls(program, given, made)
    read = {name for call in calls for name in call.refs()}
    carriers = [name for name in given if any(size.per_item for size in program.types[name].shape)]
    if any(_counts_items(call) for call in calls) and not read.intersection(carriers):
        read.update(carriers[:1])  # nothing but its shape is read
    return tuple(name for name in given if name in read)


def _counts_items(call: Call) -> bool:
    """Whether a number that depends on the batch is among its arguments."""
    everything = (value for given in (call.args, tuple(v for _, v in call.kwargs)) for value in values(given))
    return any(isinstance(value, Dimension) and value.per_item for value in everything)


def _checked_batch(name: str, kind: TensorType, tensor: torch.Tensor, batch: int | None) -> int | None:
    """The batch that `tensor` tells; None where it tells none and none is known."""
    if batch is None and tensor.dim() == len(kind.shape):
        told = [(size - d.fixed) // d.per_item for size, d in zip(tensor.shape, kind.shape, strict=True) if d.per_item]
        batch = told[0] if told else None
    expected = tuple(dimension.at(batch or 0) for dimension in kind.shape)
    if tuple(tensor.shape) != expected or str(tensor.dtype) != f"torch.{kind.dtype}":
        problem = f"must be {kind.dtype} {list(expected)}"
        raise InvalidRequest(f"tensor {name}", problem, value=f"{tensor.dtype} {list(tensor.shape)}")
    return batch
