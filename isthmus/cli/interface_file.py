"""What a model's inputs and outputs mean, in a file: how a picture becomes an input, and the classes of an output; the
largest batch, and whether an edge may do without the cloud.

Files of models (`.onnx`, `.pt2`, TorchScript) do not say it; a factory's `ModelSpec` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from isthmus.errors import InvalidInput
from isthmus.yaml_file import read_mapping
from partitioner.model import Model
from partitioner.spec import ImagePreprocessing, InputSpec, Interface, OutputSpec

__all__ = ["read_interface"]

_OPTION = "--interface"
_KEYS = ("inputs", "outputs", "max_batch", "autonomy")

T = TypeVar("T")


def read_interface(path: Path, model: Model) -> Interface:
    """The model's interface with what that file says of it. Raises InvalidInput or InvalidModel naming what does not
    fit, InvalidConfiguration for a file that is no YAML mapping."""
    told = read_mapping(path, "inputs")
    known = model.interface
    _check_names("", told, _KEYS)
    inputs, outputs = (_section(told, name) for name in ("inputs", "outputs"))
    _check_names("inputs.", inputs, [one.name for one in known.inputs])
    _check_names("outputs.", outputs, [one.name for one in known.outputs])
    return replace(
        known,
        inputs=tuple(_input(one, inputs.get(one.name), model) for one in known.inputs),
        outputs=tuple(_output(one, outputs.get(one.name), path.parent) for one in known.outputs),
        max_batch=told.get("max_batch", known.max_batch),
        autonomy=told.get("autonomy", known.autonomy),
    )


def _section(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name) or {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{_OPTION}, {name}", "is not a mapping", value=found, remedy=f"name the model's {name}")
    return found


def _check_names(where: str, told: Mapping[str, Any], known: tuple[str, ...] | list[str]) -> None:
    for name in told:
        if name not in known:
            remedy = f"one of: {', '.join(known)}"
            raise InvalidInput(f"{_OPTION}, {where}{name}", "is not known", value=name, remedy=remedy)


def _input(spec: InputSpec, told: Any, model: Model) -> InputSpec:
    if told is None:
        return spec
    where, info = f"{_OPTION}, inputs.{spec.name}", model.graph.tensors[spec.name]
    preprocessing = _read(ImagePreprocessing, told, where)
    wanted = (3, preprocessing.height, preprocessing.width)
    if info.dtype != "float32" or info.shape_at(1)[1:] != wanted:
        remedy = "only an input of one colour picture an item can come as a file"
        takes = f"the model takes {info.dtype} {list(info.shape_at(1)[1:])}"
        raise InvalidInput(where, f"makes float32 {list(wanted)}, and {takes}", remedy=remedy)
    return InputSpec(spec.name, preprocessing)


def _output(spec: OutputSpec, told: Any, folder: Path) -> OutputSpec:
    if told is None:
        return spec
    where = f"{_OPTION}, outputs.{spec.name}"
    if isinstance(told, dict) and isinstance(told.get("labels"), str):
        told = {**told, "labels": _labels(folder / told["labels"], where)}
    return _read(OutputSpec, {"name": spec.name, **told} if isinstance(told, dict) else told, where)


def _labels(path: Path, where: str) -> tuple[str, ...]:
    """One a line."""
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{where}.labels", f"cannot be read: {error}", value=str(path)) from error


def _read(kind: type[T], told: Any, where: str) -> T:
    """A dataclass of what a file says. Raises InvalidInput naming the key."""
    if isinstance(told, dict):
        _check_names(f"{where.removeprefix(f'{_OPTION}, ')}.", told, [one.name for one in fields(kind)])  # type: ignore[arg-type]
    try:
        return TypeAdapter(kind).validate_python(told)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join((where, *map(str, fault["loc"])))
        raise InvalidInput(field, fault["msg"].lower(), value=fault["input"]) from error
