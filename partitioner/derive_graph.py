"""The ModelGraph of a Program: which calls are ops, what flows between them, what they weigh. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from partitioner.einsum_equation import einsum_kind
from partitioner.graph import DTYPE_BYTES, Dimension, ModelGraph, Op, TensorInfo
from partitioner.program import GETITEM, Call, Program, Ref, values

__all__ = ["derive_graph", "op_calls"]

# Where ATen's convolutions take their groups: the general one, and those by the number of dimensions.
_GENERAL_CONVOLUTIONS, _GENERAL_GROUPS_AT, _GROUPS_AT = frozenset({"convolution", "_convolution"}), 8, 6

_EINSUMS: Mapping[str, str] = {"Transpose": "permute", "ReduceSum": "sum", "Mul": "mul", "Einsum": "einsum"}


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a value stands on: tensors that flow (its own name, once it is one), weights, whether it reads the batch."""

    tensors: tuple[str, ...] = ()
    weights: frozenset[str] = frozenset()
    reads_batch: bool = False


@dataclass(slots=True)
class _Derivation:
    """One walk over the calls: `facts` by value name; an op's outputs and what it reads by op name."""

    program: Program
    facts: dict[str, _Facts] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    reads: dict[str, _Facts] = field(default_factory=dict)

    def run(self) -> None:
        for name in self.program.inputs:
            self.facts[name] = _Facts(tensors=(name,))
        for name in self.program.weights:
            self.facts[name] = _Facts(weights=frozenset({name}))
        for call in self.program.calls:
            self._visit(call)

    def _visit(self, call: Call) -> None:
        source = call.args[0] if call.args else None
        if call.target == GETITEM and isinstance(source, Ref) and source.name in self.outputs:
            self.outputs[source.name].append(call.name)
            self.facts[call.name] = _Facts(tensors=(call.name,))
            return
        found = self._merge(call)
        if call.is_operator and found.tensors:
            self.reads[call.name] = found
            self.outputs[call.name] = [call.name] if call.name in self.program.types else []
            self.facts[call.name] = _Facts(tensors=(call.name,))
        else:
            self.facts[call.name] = found

    def _merge(self, call: Call) -> _Facts:
        read = [self.facts[name] for name in call.refs()]
        arguments = (*call.args, *(v for _, v in call.kwargs))
        own = any(isinstance(v, Dimension) and v.per_item for a in arguments for v in values(a))
        return _Facts(
            tensors=tuple(dict.fromkeys(t for f in read for t in f.tensors)),
            weights=frozenset[str]().union(*(f.weights for f in read)),
            reads_batch=own or any(f.reads_batch for f in read),
        )


def derive_graph(program: Program, flops: Mapping[str, tuple[int, int]]) -> ModelGraph:
    """The graph of `program`; flops: (per item, fixed) by op name, none for those that are missing."""
    walk = _Derivation(program)
    walk.run()
    ops = tuple(_op(program, c, walk, flops.get(c.name, (0, 0))) for c in program.calls if c.name in walk.reads)
    return ModelGraph(
        ops=ops,
        tensors=_tensors(program, ops),
        inputs=program.inputs,
        outputs=program.outputs,
        batch_readers=frozenset(name for name, f in walk.reads.items() if f.reads_batch),
        weight_bytes={name: _weight_bytes(program, name) for op in ops for name in op.weights},
    )


def op_calls(program: Program) -> tuple[Call, ...]:
    """The calls that are ops: ATen calls that read what depends on an input's contents."""
    walk = _Derivation(program)
    walk.run()
    return tuple(c for c in program.calls if c.name in walk.reads)


def _op(program: Program, call: Call, walk: _Derivation, flops: tuple[int, int]) -> Op:
    found, (per_item, fixed) = walk.reads[call.name], flops
    return Op(
        name=call.name,
        kind=_kind(call),
        flops=per_item + fixed,
        inputs=found.tensors,
        outputs=tuple(walk.outputs[call.name]),
        parameter_bytes=sum(_weight_bytes(program, w) for w in found.weights),
        flops_per_item=per_item,
        flops_fixed=fixed,
        weights=tuple(sorted(found.weights)),
        groups=_groups(call),
        is_of_one_place=_is_of_one_place(program, call),
    )


def _kind(call: Call) -> str:
    """Its ATen name; an einsum that moves, adds up or multiplies only is called by what it does."""
    if call.kind != "einsum" or not call.args or not isinstance(call.args[0], str):
        return call.kind
    return _EINSUMS[einsum_kind(call.args[0])]


def _is_of_one_place(program: Program, call: Call) -> bool:
    """Whether it is a convolution by a kernel [..., channels, 1, 1]."""
    if "conv" not in call.kind or len(call.args) < 2 or not isinstance(call.args[1], Ref):
        return False
    kernel = program.types.get(call.args[1].name)
    return kernel is not None and len(kernel.shape) > 2 and all(d == Dimension(0, 1) for d in kernel.shape[2:])


def _groups(call: Call) -> int:
    """Of a convolution; 1 for any other call."""
    if "conv" not in call.kind:
        return 1
    at = _GENERAL_GROUPS_AT if call.kind in _GENERAL_CONVOLUTIONS else _GROUPS_AT
    given = dict(call.kwargs).get("groups", call.args[at] if at < len(call.args) else 1)
    return given if isinstance(given, int) else 1


def _weight_bytes(program: Program, name: str) -> int:
    kind = program.types[name]
    return prod(d.fixed for d in kind.shape) * DTYPE_BYTES[kind.dtype]


def _tensors(program: Program, ops: Iterable[Op]) -> dict[str, TensorInfo]:
    producers: dict[str, str | None] = dict.fromkeys(program.inputs)
    consumers: dict[str, list[str]] = {}
    for op in ops:
        producers.update(dict.fromkeys(op.outputs, op.name))
        for name in op.inputs:
            consumers.setdefault(name, []).append(op.name)
    for name in program.outputs:  # what no op makes: a weight, or a value of constants only
        producers.setdefault(name, None)
    outputs = set(program.outputs)
    return {
        name: TensorInfo(
            name=name,
            dtype=program.types[name].dtype,
            shape=program.types[name].shape,
            producer=producer,
            consumers=tuple(consumers.get(name, ())),
            is_output=name in outputs,
        )
        for name, producer in producers.items()
    }
