"""What goes into an ONNX model: which dimension is the batch, which inputs are pinned; all else must be fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import torch
from onnx import numpy_helper

from isthmus.errors import InvalidModel
from partitioner.graph import Dimension
from partitioner.onnx_form import ELEMENT_TYPES
from partitioner.program import TensorType

__all__ = ["OnnxInputs", "pin_inputs"]

_DTYPES = {number: name for name, number in ELEMENT_TYPES.items()}
_BATCH = Dimension(1, 0)


@dataclass(frozen=True, slots=True)
class OnnxInputs:
    """The types of the inputs that are left, in order. opened: those whose batch the file fixes to 1."""

    types: Mapping[str, TensorType]
    opened: tuple[str, ...] = ()

    def samples(self, batch: int) -> dict[str, torch.Tensor]:
        """Noise; zeros for integers, a valid index anywhere."""
        generator = torch.Generator().manual_seed(batch)
        found: dict[str, torch.Tensor] = {}
        for name, kind in self.types.items():
            dtype, shape = getattr(torch, kind.dtype), [d.at(batch) for d in kind.shape]
            noise = torch.randn(shape, generator=generator) if dtype.is_floating_point else torch.zeros(shape)
            found[name] = noise.to(dtype)
        return found


def pin_inputs(proto: onnx.ModelProto, examples: Sequence[torch.Tensor]) -> OnnxInputs:
    """Read the inputs; those without dimensions become constants of `proto`, with their examples' values.

    examples: one for each input, in order, or none at all; they fix dimensions that the file leaves open. The batch is
    the open dimension that comes first; where none is, the first of size 1, and the caller must check that the model
    bears another size there. Raises InvalidModel naming the input, the dimension and the remedy.
    """
    constants = {i.name for i in proto.graph.initializer}
    given = [v for v in proto.graph.input if v.name not in constants]  # old files list weights as inputs
    if examples and len(examples) != len(given):
        names = [v.name for v in given]
        raise InvalidModel("example_inputs", f"must be {len(given)}, for {names}", value=len(examples))
    types: dict[str, TensorType] = {}
    opened: list[str] = []
    for at, info in enumerate(given):
        example = examples[at] if examples else None
        if example is not None and example.dim() == 0:
            proto.graph.initializer.append(numpy_helper.from_array(example.numpy(), info.name))
        else:
            types[info.name] = TensorType(_dtype(info), _shape(info, example))
            opened += [info.name] if all(d.dim_value > 0 for d in info.type.tensor_type.shape.dim) else []
    kept = [v for v in given if v.name in types]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    if not types:
        raise InvalidModel("model", "has no input left", remedy="leave one with a batch dimension")
    return OnnxInputs(types, tuple(opened))


def _dtype(info: onnx.ValueInfoProto) -> str:
    number = info.type.tensor_type.elem_type
    if not info.type.HasField("tensor_type") or number not in _DTYPES:
        raise InvalidModel(f"input {info.name!r}", "is no tensor of a common dtype", remedy="take tensors only")
    return _DTYPES[number]


def _shape(info: onnx.ValueInfoProto, example: torch.Tensor | None) -> tuple[Dimension, ...]:
    what = f"input {info.name!r}"
    dims = list(info.type.tensor_type.shape.dim)
    if not dims:
        remedy = "pin it with an example without dimensions (--example =16000:int64), or give it a batch dimension"
        raise InvalidModel(what, "has no batch dimension", remedy=remedy)
    sizes = [d.dim_value if d.dim_value > 0 else None for d in dims]
    opened = [at for at, size in enumerate(sizes) if size is None] or [
        at for at, size in enumerate(sizes) if size == 1
    ][:1]
    if not opened:
        remedy = "export it with a dynamic batch dimension"
        raise InvalidModel(what, f"has its batch fixed to {sizes[0]}", value=sizes, remedy=remedy)
    batch, *others = opened
    sizes[batch] = None
    if others and example is None:
        shown = dims[others[0]].dim_param or "?"
        remedy = f"export it with that size fixed, or give example inputs of the shapes {_shown(sizes, batch)}"
        raise InvalidModel(what, f"has the open dimension {others[0]} ({shown}) beside its batch", remedy=remedy)
    if example is not None and not _fits(sizes, example):
        raise InvalidModel(
            f"example of {info.name!r}", f"must have the shape {_shown(sizes, batch)}", value=list(example.shape)
        )
    fixed = sizes if example is None else list(example.shape)
    return tuple(_BATCH if at == batch else Dimension(0, int(size or 0)) for at, size in enumerate(fixed))


def _fits(sizes: Sequence[int | None], example: torch.Tensor) -> bool:
    return len(sizes) == example.dim() and all(a is None or a == b for a, b in zip(sizes, example.shape, strict=True))


def _shown(sizes: Sequence[int | None], batch: int) -> str:
    return "x".join("BATCH" if at == batch else str(size or "N") for at, size in enumerate(sizes))
