"""A Program as JSON data and back; what comes back is checked value by value, and can never run code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from isthmus.errors import InvalidModel
from partitioner.graph import DTYPE_BYTES, Dimension
from partitioner.program import Call, Program, Ref, TensorType, TorchConstant, Value

__all__ = ["program_from_data", "program_to_data", "types_from_data"]

_MAX_NESTING = 8
_MAX_INTEGER = 1 << 63
_FLOATS: Mapping[str, float] = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def program_to_data(program: Program) -> dict[str, Any]:
    """Dicts, lists, strings and numbers that `json.dumps(..., allow_nan=False)` takes."""
    return {
        "inputs": list(program.inputs),
        "weights": list(program.weights),
        "calls": [_call_to_data(c) for c in program.calls],
        "outputs": list(program.outputs),
        "types": {name: [t.dtype, [[d.per_item, d.fixed] for d in t.shape]] for name, t in program.types.items()},
    }


def program_from_data(data: Any) -> Program:
    """The Program that `program_to_data` described. Raises InvalidModel naming what is wrong with anything else."""
    fields = _mapping(data, {"inputs", "weights", "calls", "outputs", "types"}, "program")
    return Program(
        inputs=_names(fields["inputs"], "inputs"),
        weights=_names(fields["weights"], "weights"),
        calls=tuple(_call_from_data(c) for c in _list(fields["calls"], "calls")),
        outputs=_names(fields["outputs"], "outputs"),
        types=types_from_data(fields["types"]),
    )


def types_from_data(data: Any) -> dict[str, TensorType]:
    """dtype and shape by name, from {name: [dtype, [[per item, fixed], ...]]}. Raises InvalidModel."""
    return {name: _type(t, name) for name, t in _any_mapping(data, "types").items()}


def _call_to_data(call: Call) -> dict[str, Any]:
    data: dict[str, Any] = {"name": call.name, "target": call.target, "args": [_to_data(a) for a in call.args]}
    if call.kwargs:
        data["kwargs"] = {k: _to_data(v) for k, v in call.kwargs}
    return data


def _call_from_data(data: Any) -> Call:
    fields = _mapping({"kwargs": {}, **_any_mapping(data, "call")}, {"name", "target", "args", "kwargs"}, "call")
    if not isinstance(fields["name"], str) or not isinstance(fields["target"], str):
        raise _wrong("call", "has no name or target", (fields["name"], fields["target"]))
    what = f"call {fields['name']!r}"
    kwargs = _any_mapping(fields["kwargs"], what)
    return Call(
        fields["name"],
        fields["target"],
        tuple(_from_data(a, what, 0) for a in _list(fields["args"], what)),
        tuple((k, _from_data(v, what, 0)) for k, v in sorted(kwargs.items())),
    )


def _to_data(value: Value) -> Any:
    match value:
        case Ref(name):
            return {"ref": name}
        case Dimension(per_item, fixed):
            return {"size": [per_item, fixed]}
        case TorchConstant(kind, name):
            return {kind: name}
        case tuple():
            return [_to_data(v) for v in value]
        case float() if not math.isfinite(value):
            return {"float": str(value)}
        case _:
            return value


def _from_data(data: Any, what: str, depth: int) -> Value:
    if depth > _MAX_NESTING:
        raise _wrong(what, "nests its arguments too deeply")
    match data:
        case None | bool() | str():
            return data
        case int() if abs(data) <= _MAX_INTEGER:
            return data
        case float() if math.isfinite(data):
            return data
        case list():
            return tuple(_from_data(v, what, depth + 1) for v in data)
        case dict() if len(data) == 1:
            return _tagged(*next(iter(data.items())), what)
        case _:
            raise _wrong(what, "has an argument of an unknown form", data)


def _tagged(tag: str, data: Any, what: str) -> Value:
    if tag == "size":
        return _dimension(data, what)
    if not isinstance(data, str):
        raise _wrong(what, f"has a {tag!r} that is not text", data)
    if tag == "ref":
        return Ref(data)
    if tag == "float" and data in _FLOATS:
        return _FLOATS[data]
    return TorchConstant(tag, data)


def _type(data: Any, name: str) -> TensorType:
    what = f"type of {name!r}"
    pair = _list(data, what)
    if len(pair) != 2 or not isinstance(pair[0], str) or pair[0] not in DTYPE_BYTES:
        raise _wrong(what, "is not a dtype and a shape", data)
    return TensorType(pair[0], tuple(_dimension(d, what) for d in _list(pair[1], what)))


def _dimension(data: Any, what: str) -> Dimension:
    match data:
        case [int(per_item), int(fixed)] if max(abs(per_item), abs(fixed)) <= _MAX_INTEGER:
            return Dimension(int(per_item), int(fixed))
        case _:
            raise _wrong(what, "has a dimension that is not two whole numbers", data)


def _mapping(data: Any, keys: set[str], what: str) -> Mapping[str, Any]:
    found = _any_mapping(data, what)
    if found.keys() != keys:
        raise _wrong(what, "has missing or unknown keys", sorted(found.keys() ^ keys))
    return found


def _any_mapping(data: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise _wrong(what, "is not an object", data)
    return data


def _list(data: Any, what: str) -> list[Any]:
    if not isinstance(data, list):
        raise _wrong(what, "is not a list", data)
    return data


def _names(data: Any, what: str) -> tuple[str, ...]:
    names = _list(data, what)
    if not all(isinstance(n, str) for n in names):
        raise _wrong(what, "are not names", data)
    return tuple(names)


def _wrong(what: str, problem: str, value: object = None) -> InvalidModel:
    return InvalidModel(what, problem, value=value, remedy="import the model anew")
