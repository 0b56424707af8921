"""Program: a functional ATen graph as plain data: a model travels and is stored without any code. No torch here.

Arguments of calls are plain values: None, bool, int, float, str, tuples of values, `Ref` (the result of another value),
`Dimension` (a number, affine in the batch size) and `TorchConstant` (a dtype, layout, memory format or the device).
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from isthmus.errors import InvalidModel
from partitioner.graph import DTYPE_BYTES, Dimension

__all__ = ["GETITEM", "Call", "Program", "Ref", "TensorType", "TorchConstant", "Value", "is_name", "refs", "values"]

GETITEM = "getitem"
"""Target of the call that fetches one result of a multi-output op."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}\Z")
_CONSTANTS: Mapping[str, frozenset[str]] = {
    "dtype": frozenset(DTYPE_BYTES),
    "layout": frozenset({"strided"}),
    "memory_format": frozenset({"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"}),
    "device": frozenset({"model"}),
}


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of that name: an input, a weight or the result of an earlier call."""

    name: str


@dataclass(frozen=True, slots=True)
class TorchConstant:
    """kind "dtype", "layout", "memory_format" or "device"; the one device is "model": wherever the weights are."""

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.name not in _CONSTANTS.get(self.kind, frozenset()):
            raise InvalidModel(
                f"constant {self.kind!r}", "is not supported", value=self.name, remedy="use a common one"
            )


Value: TypeAlias = "bool | int | float | str | Ref | Dimension | TorchConstant | tuple[Value, ...] | None"


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype ("float32") and shape of one tensor."""

    dtype: str
    shape: tuple[Dimension, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call: target is "aten.NAME.OVERLOAD", "getitem" or "sym.NAME" (arithmetic on sizes)."""

    name: str
    target: str
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...] = ()

    @property
    def is_operator(self) -> bool:
        """Whether it calls an ATen operator (rather than fetching a result or counting sizes)."""
        return self.target.startswith("aten.")

    @property
    def kind(self) -> str:
        """Of an operator its ATen name, without its overload."""
        return self.target.split(".")[1]

    def refs(self) -> Iterator[str]:
        """The names it reads, in argument order, repeats included."""
        yield from refs((*self.args, *(v for _, v in self.kwargs)))


@dataclass(frozen=True, slots=True)
class Program:
    """A whole model. Calls stand in topological order; `types` has an entry for every input, weight and single tensor.

    Raises InvalidModel when a name is unusable or taken, or something is read before it is made.
    """

    inputs: tuple[str, ...]
    weights: tuple[str, ...]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType]

    def __post_init__(self) -> None:
        known: set[str] = set()
        for name in (*self.inputs, *self.weights):
            _define(name, known)
            self._check_typed(name)
        for call in self.calls:
            _check_known(call.name, call.refs(), known)
            _define(call.name, known)
        _check_known("output", self.outputs, known)
        for name in self.outputs:
            self._check_typed(name)
        self._check_batch()

    def _check_typed(self, name: str) -> None:
        if name not in self.types:
            raise InvalidModel(f"value {name!r}", "has no tensor type", remedy="export the model again")

    def _check_batch(self) -> None:
        for name in self.inputs:
            shape = self.types[name].shape
            if not shape or shape[0] != Dimension(1, 0):
                raise InvalidModel(
                    f"input {name!r}",
                    "its first dimension is not the batch",
                    remedy="give every input a batch dimension",
                )
        if not self.inputs or not self.outputs:
            raise InvalidModel("model", "has no inputs or no outputs", remedy="it needs at least one tensor of each")


def is_name(text: object) -> bool:
    """Whether `text` may name a value: an identifier of at most 200 characters that Python does not reserve."""
    return isinstance(text, str) and bool(_NAME.match(text)) and not keyword.iskeyword(text) and text[:2] != "__"


def values(value: Value) -> Iterator[Value]:
    """`value` and all that is nested in it."""
    yield value
    if isinstance(value, tuple):
        for item in value:
            yield from values(item)


def refs(value: Value) -> Iterator[str]:
    """The names that `value` refers to, in order, repeats included."""
    return (v.name for v in values(value) if isinstance(v, Ref))


def _define(name: str, known: set[str]) -> None:
    if not is_name(name):
        raise InvalidModel("value name", "is not a usable identifier", value=name, remedy="use letters, digits and _")
    if name in known:
        raise InvalidModel(f"value {name!r}", "is defined twice", remedy="give every value its own name")
    known.add(name)


def _check_known(reader: str, names: Iterator[str] | tuple[str, ...], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise InvalidModel(f"{reader!r}", f"reads {name!r}, which nothing before it makes", remedy="export again")
