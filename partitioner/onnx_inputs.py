"""What goes into an ONNX model: which dimension is the batch, which inputs are pinned; all else must be fixed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

import onnx
import torch
from onnx import numpy_helper

from isthmus.errors import InvalidModel
from partitioner.graph import Dimension
from partitioner.named_few import named_few
from partitioner.onnx_batch_place import (
    BatchPlace,
    OpenNames,
    batch_places,
    is_open,
    joint_places,
    written_shape,
)
from partitioner.onnx_form import ELEMENT_TYPES
from partitioner.program import TensorType

__all__ = ["OnnxInputs", "pin_inputs"]

_DTYPES = {number: name for name, number in ELEMENT_TYPES.items()}
_BATCH = Dimension(1, 0)


@dataclass(frozen=True, slots=True)
class OnnxInputs:
    """The types of the inputs that are left, in order.

    opened: those whose batch the file fixes to 1. guessed: those for whose batch a dimension was taken that another may
    be as well. Of either kind it must be proven that the model bears a batch there.
    """

    types: Mapping[str, TensorType]
    opened: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()

    @property
    def unproven(self) -> tuple[str, ...]:
        """Those whose batch must be proven to be one."""
        return self.opened + self.guessed

    def batch_of(self, name: str) -> int:
        """The dimension of that input that is its batch."""
        return self.types[name].shape.index(_BATCH)

    def shown_batch(self, names: Collection[str] | None = None) -> str:
        """Which dimensions of those inputs (of all) are their batch, in words: of the first few, and how many more."""
        chosen = self.types if names is None else names
        return named_few([f"dimension {self.batch_of(name)} of {name!r}" for name in chosen])

    def samples(self, batch: int) -> dict[str, torch.Tensor]:
        """Noise; zeros for integers, a valid index anywhere."""
        generator = torch.Generator().manual_seed(batch)
        found: dict[str, torch.Tensor] = {}
        for name, kind in self.types.items():
            dtype, shape = getattr(torch, kind.dtype), [d.at(batch) for d in kind.shape]
            noise = torch.randn(shape, generator=generator) if dtype.is_floating_point else torch.zeros(shape)
            found[name] = noise.to(dtype)
        return found


def pin_inputs(proto: onnx.ModelProto, examples: Sequence[torch.Tensor]) -> tuple[OnnxInputs, ...]:
    """Read the inputs; those without dimensions become constants of `proto`, with their examples' values.

    examples: one for each input, in order, or none at all; they fix dimensions that the file leaves open. What comes
    back are readings that differ in which dimensions are the batch (`batch_places`), the likeliest first; it alone
    where the file leaves no doubt. Raises InvalidModel naming the input, the dimension and the remedy where the first
    of them does not fit; others that do not are left out.
    """
    constants = {i.name for i in proto.graph.initializer}
    given = [v for v in proto.graph.input if v.name not in constants]  # old files list weights as inputs
    if examples and len(examples) != len(given):
        names = [v.name for v in given]
        raise InvalidModel("example_inputs", f"must be {len(given)}, for {names}", value=len(examples))
    kept: list[tuple[onnx.ValueInfoProto, torch.Tensor | None]] = []
    for info, example in zip_longest(given, examples):
        if example is not None and example.dim() == 0:
            proto.graph.initializer.append(numpy_helper.from_array(example.numpy(), info.name))
        else:
            kept.append((info, example))
    if not kept:
        raise InvalidModel("model", "has no input left", remedy="leave one with a batch dimension")
    dtypes = [_dtype(info) for info, _ in kept]
    open_names = OpenNames.of(given)
    places = []
    for info, example in kept:
        places.append(batch_places(info, open_names, None if example is None else example.shape))
        _shape(info, places[-1][0].at, example)  # the first input that does not fit is the one that is named
    likeliest, *others = joint_places(places)
    readings = [_inputs(kept, dtypes, likeliest)]
    for reading in others:
        with suppress(InvalidModel):
            readings.append(_inputs(kept, dtypes, reading))
    del proto.graph.input[:]
    proto.graph.input.extend(info for info, _ in kept)
    return tuple(readings)


def _inputs(
    kept: Sequence[tuple[onnx.ValueInfoProto, torch.Tensor | None]],
    dtypes: Sequence[str],
    places: Sequence[BatchPlace],
) -> OnnxInputs:
    types: dict[str, TensorType] = {}
    opened: list[str] = []
    guessed: list[str] = []
    for (info, example), dtype, place in zip(kept, dtypes, places, strict=True):
        types[info.name] = TensorType(dtype, _shape(info, place.at, example))
        if place.is_fixed:
            opened.append(info.name)
        elif place.is_guessed:
            guessed.append(info.name)
    return OnnxInputs(types, tuple(opened), tuple(guessed))


def _dtype(info: onnx.ValueInfoProto) -> str:
    number = info.type.tensor_type.elem_type
    if not info.type.HasField("tensor_type") or number not in _DTYPES:
        raise InvalidModel(f"input {info.name!r}", "is no tensor of a common dtype", remedy="take tensors only")
    return _DTYPES[number]


def _shape(info: onnx.ValueInfoProto, batch: int, example: torch.Tensor | None) -> tuple[Dimension, ...]:
    dims = list(info.type.tensor_type.shape.dim)
    sizes = [None if is_open(d) or at == batch else d.dim_value for at, d in enumerate(dims)]
    others = [at for at, size in enumerate(sizes) if size is None and at != batch]
    if others and example is None:
        written = written_shape(dims)
        problem = f"has the open dimension {others[0]} ({written[others[0]]}) beside its batch"
        remedy = f"export it with that size fixed, or give example inputs of the shapes {_shown(sizes, batch)}"
        raise InvalidModel(f"input {info.name!r}", problem, value=written, remedy=remedy)
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
