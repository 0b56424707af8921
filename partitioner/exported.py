"""From torch's ExportedProgram to a Program and its weights: functional, renamed, sizes as numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, TensorArgument

from isthmus.errors import InvalidModel
from partitioner.operators import SIZE_FUNCTIONS, check_operators
from partitioner.program import GETITEM, Call, Program, Ref, TensorType, TorchConstant, Value
from partitioner.symbolic import BatchSymbols, tensor_type
from partitioner.weights import WeightStore

__all__ = ["Captured", "capture"]

_SIZE_TARGETS: dict[Any, str] = {
    **{function: target for target, function in SIZE_FUNCTIONS.items()},
    operator.pow: "",
    math.sqrt: "sym.sqrt",
    torch._sym_sqrt: "sym.sqrt",  # type: ignore[attr-defined]
}
# Left behind by export for its own checks; they make nothing.
_CHECKS = ("aten._assert_scalar", "aten._assert_tensor_metadata", "aten._assert_async", "aten.sym_constrain_range")
# A view of a boundary tensor that arrives contiguous would raise; reshape gives the same values from any layout.
_RESHAPED = {"aten.view.default", "aten._unsafe_view.default", "aten._reshape_alias.default"}


@dataclass(frozen=True, slots=True)
class Captured:
    """A functional program with its weights by name, and the largest batch that it was exported for."""

    program: Program
    weights: Mapping[str, torch.Tensor]
    max_batch: int


def capture(exported: ExportedProgram, input_names: tuple[str, ...] = ()) -> Captured:
    """Functionalise `exported` (keeping bits) and read it. input_names: what to call its inputs.

    Raises InvalidModel naming the op, input or buffer that a functional model cannot have.
    """
    functional = exported.run_decompositions({})
    reader = _Reader(functional, input_names)
    program = reader.read()
    check_operators(program)
    return Captured(program, reader.weights.used(program), reader.symbols.max_batch)


@dataclass(slots=True)
class _Reader:
    """One pass over the nodes of a functional export."""

    exported: ExportedProgram
    input_names: tuple[str, ...]
    names: dict[fx.Node, str] = field(default_factory=dict)
    types: dict[str, TensorType] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    weights: WeightStore = field(default_factory=WeightStore)
    symbols: BatchSymbols = field(init=False)

    def read(self) -> Program:
        nodes = list(self.exported.graph.nodes)
        placeholders = [n for n in nodes if n.op == "placeholder"]
        specs = self.exported.graph_signature.input_specs
        users = [n for n, s in zip(placeholders, specs, strict=True) if s.kind is InputKind.USER_INPUT]
        self.symbols = BatchSymbols.of(self.exported, users)
        inputs = self._read_inputs(users)
        for node, spec in zip(placeholders, specs, strict=True):
            if spec.kind is not InputKind.USER_INPUT:
                self._read_weight(node, spec)
        for node in nodes:
            if node.op not in ("placeholder", "output"):
                self._read_call(node)
        return _pruned(inputs, self.weights.names, self.calls, self._outputs(nodes[-1]), self.types)

    def _read_inputs(self, users: list[fx.Node]) -> tuple[str, ...]:
        names = self.input_names or tuple(n.name for n in users)
        if len(names) != len(users):
            problem = f"names {len(names)} inputs, the model has {len(users)}"
            raise InvalidModel("input_names", problem, value=names, remedy="name every input once, in order")
        for node, name in zip(users, names, strict=True):
            self._define(node, name)
        return names

    def _read_weight(self, node: fx.Node, spec: InputSpec) -> None:
        if spec.kind not in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR) or spec.target is None:
            raise InvalidModel(f"input {node.name!r}", f"is a {spec.kind.name.lower()}", remedy="take tensors only")
        source = self.exported.state_dict if spec.target in self.exported.state_dict else self.exported.constants
        tensor = source[spec.target]
        if not isinstance(tensor, torch.Tensor):
            raise InvalidModel(f"constant {spec.target!r}", "is not a tensor", remedy="keep constants as tensors")
        name = self._free_name(node.name)
        self.names[node] = self.weights.add(name, tensor)
        self.types.setdefault(self.names[node], tensor_type(node, self.symbols))

    def _read_call(self, node: fx.Node) -> None:
        if node.op != "call_function":
            raise InvalidModel(f"node {node.name!r}", f"is a {node.op}: control flow", remedy="export without branches")
        if str(node.target).startswith(_CHECKS):
            return
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and self.symbols.affine(value) is not None:
            return  # every reader gets the number itself
        if isinstance(value, torch.Tensor):
            self.types[self._define_call(node)] = tensor_type(node, self.symbols)
        else:
            self._define_call(node)
        kwargs = sorted(node.kwargs.items())
        self.calls.append(
            Call(
                self.names[node],
                _target(node),
                tuple(self._value(a, node) for a in node.args),
                tuple((k, self._value(v, node)) for k, v in kwargs),
            )
        )

    def _value(self, value: Any, node: fx.Node) -> Value:
        match value:
            case fx.Node():
                return self._reference(value)
            case None | bool() | int() | float() | str():
                return value
            case list() | tuple():
                return tuple(self._value(v, node) for v in value)
            case torch.SymInt() if (size := self.symbols.affine(value)) is not None:
                return size
            case torch.device():
                return TorchConstant("device", "model")
            case torch.dtype() | torch.layout() | torch.memory_format():
                return TorchConstant(type(value).__name__, str(value).removeprefix("torch."))
            case _:
                raise InvalidModel(f"op {node.name!r}", "has an argument of an unknown kind", value=value, remedy="")

    def _reference(self, node: fx.Node) -> Value:
        value = node.meta.get("val")
        if isinstance(value, torch.SymInt) and (size := self.symbols.affine(value)) is not None:
            return size
        return Ref(self.names[node])

    def _outputs(self, node: fx.Node) -> tuple[str, ...]:
        names = []
        for result, spec in zip(node.args[0], self.exported.graph_signature.output_specs, strict=True):  # type: ignore[arg-type]
            if spec.kind in (OutputKind.BUFFER_MUTATION, OutputKind.USER_INPUT_MUTATION):
                what = (
                    f"buffer {spec.target!r}" if spec.kind is OutputKind.BUFFER_MUTATION else f"input {spec.target!r}"
                )
                raise InvalidModel(what, "is changed by the model", remedy="call .eval(), and keep no state in it")
            if result is None:
                continue  # an optional result that is not there carries nothing
            if not isinstance(spec.arg, TensorArgument) or not isinstance(result, fx.Node):
                raise InvalidModel("output", "is not a tensor", value=result, remedy="return tensors only")
            names.append(self.names[result])
        return tuple(names)

    def _define_call(self, node: fx.Node) -> str:
        return self._define(node, self._free_name(node.name))

    def _define(self, node: fx.Node, name: str) -> str:
        self.names[node] = name
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor):
            self.types[name] = tensor_type(node, self.symbols)
        return name

    def _free_name(self, name: str) -> str:
        while name in self.input_names:
            name += "_"
        return name


def _target(node: fx.Node) -> str:
    target = node.target
    if target is operator.getitem:
        return GETITEM
    if isinstance(target, torch._ops.OpOverload):
        return "aten.reshape.default" if str(target) in _RESHAPED else str(target)
    found = _SIZE_TARGETS.get(target)
    if not found:
        remedy = "use torch operators without branches on data"
        raise InvalidModel(f"op {node.name!r}", "is not a supported operator", value=_name(target), remedy=remedy)
    return found


def _name(target: str | Callable[..., Any]) -> str:
    return str(getattr(target, "__name__", target))


def _pruned(
    inputs: tuple[str, ...],
    weights: tuple[str, ...],
    calls: list[Call],
    outputs: tuple[str, ...],
    types: Mapping[str, TensorType],
) -> Program:
    """The program without what no output needs."""
    wanted, live = set(outputs), list[Call]()
    for call in reversed(calls):
        if call.name in wanted:
            live.append(call)
            wanted.update(call.refs())
    used = tuple(w for w in weights if w in wanted)
    have = {*inputs, *used, *(c.name for c in live)}
    kept_types = {name: kind for name, kind in types.items() if name in have}
    return Program(inputs, used, tuple(reversed(live)), outputs, kept_types)
