"""A model in a folder, as data only: graph.json, weights.safetensors, spec.json, perhaps calibration.safetensors."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from isthmus.errors import InvalidModel
from partitioner.model import Model, canonical_json
from partitioner.operators import check_operators
from partitioner.program import Program
from partitioner.program_json import program_from_data, program_to_data
from partitioner.spec import Interface
from partitioner.weights import contiguous_form, stride_order

__all__ = ["is_artifact", "load_artifact", "save_artifact"]

_FORMAT = 1
_GRAPH, _SPEC = "graph.json", "spec.json"
_WEIGHTS, _CALIBRATION = "weights.safetensors", "calibration.safetensors"
_REMEDY = "import the model anew"
_MAX_JSON_BYTES = 256 << 20


def is_artifact(folder: Path) -> bool:
    """Whether `folder` looks like what `save_artifact` writes."""
    return (folder / _GRAPH).is_file() and (folder / _SPEC).is_file()


def save_artifact(model: Model, folder: str | Path) -> None:
    """Write `model` into `folder`, made when missing. Each file is replaced as a whole; spec.json comes last."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    orders = {n: list(stride_order(t)) for n, t in model.weights.items()}
    graph = {
        "format": _FORMAT,
        "program": program_to_data(model.program),
        "flops": {name: list(law) for name, law in model.flops.items()},
        "stride_orders": {n: order for n, order in orders.items() if order != sorted(order)},
    }
    _write_tensors(target / _WEIGHTS, {n: contiguous_form(t) for n, t in model.weights.items()})
    _write(target / _GRAPH, canonical_json(graph))
    hashes = {_GRAPH: _sha256(target / _GRAPH)}
    (target / _CALIBRATION).unlink(missing_ok=True)
    if model.calibration:
        tensors = {f"{i:04d}": t.contiguous() for i, t in enumerate(model.calibration)}
        _write_tensors(target / _CALIBRATION, tensors)
        hashes[_CALIBRATION] = _sha256(target / _CALIBRATION)
    interface = json.loads(model.interface.to_json())
    spec = {"format": _FORMAT, "interface": interface, "digest": model.digest, "sha256": hashes}
    _write(target / _SPEC, canonical_json(spec))


def load_artifact(folder: str | Path) -> Model:
    """The model in `folder`; its weights are mapped from the file, not read into memory of their own.

    Nothing in the files can run. Raises InvalidModel naming the file that is missing, damaged or changed.
    """
    source = Path(folder)
    spec = _read_spec(source)
    for name, expected in spec["sha256"].items():
        if _sha256(source / name) != expected:
            raise InvalidModel(str(source / name), "was changed or damaged", remedy=_REMEDY)
    program, flops, orders = _read_graph(source / _GRAPH)
    weights = _read_weights(source / _WEIGHTS, program, orders)
    calibration = _read_calibration(source / _CALIBRATION) if _CALIBRATION in spec["sha256"] else ()
    model = Model(program, weights, Interface.from_json(canonical_json(spec["interface"])), flops, calibration)
    if model.digest != spec["digest"]:
        where = f"{source / _WEIGHTS} or {_SPEC}"
        raise InvalidModel(where, "was changed or damaged: its digest differs", remedy=_REMEDY)
    return model


def _read_spec(source: Path) -> dict[str, Any]:
    path = source / _SPEC
    spec = _read_json(path)
    hashes = spec.get("sha256")
    if spec.keys() != {"format", "interface", "digest", "sha256"} or not isinstance(hashes, dict):
        raise InvalidModel(str(path), "is not a model's spec", remedy=_REMEDY)
    if _GRAPH not in hashes or not hashes.keys() <= {_GRAPH, _CALIBRATION}:
        raise InvalidModel(str(path), "does not vouch for the right files", value=sorted(hashes), remedy=_REMEDY)
    return spec


def _read_graph(path: Path) -> tuple[Program, dict[str, tuple[int, int]], Mapping[str, Any]]:
    data = _read_json(path)
    if data.keys() != {"format", "program", "flops", "stride_orders"} or not isinstance(data["stride_orders"], dict):
        raise InvalidModel(str(path), "is not a model graph", remedy=_REMEDY)
    try:
        program = program_from_data(data["program"])
        check_operators(program)
        return program, _flops(data["flops"]), data["stride_orders"]
    except InvalidModel as error:
        raise InvalidModel(f"{path}: {error.field}", error.problem, value=error.value, remedy=error.remedy) from error


def _flops(data: Any) -> dict[str, tuple[int, int]]:
    if not isinstance(data, dict) or not all(_is_law(law) for law in data.values()):
        raise InvalidModel("flops", "are not pairs of whole numbers", remedy=_REMEDY)
    return {name: (law[0], law[1]) for name, law in data.items()}


def _is_law(law: Any) -> bool:
    return isinstance(law, list) and len(law) == 2 and all(type(n) is int for n in law)


def _read_weights(path: Path, program: Program, orders: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    stored = _read_tensors(path)
    if stored.keys() != set(program.weights):
        raise InvalidModel(str(path), "holds other weights than the graph names", remedy=_REMEDY)
    weights = {n: _in_order(path, stored[n], n, orders.get(n)) for n in program.weights}
    for name, tensor in weights.items():
        kind = program.types[name]
        if str(tensor.dtype) != f"torch.{kind.dtype}" or tuple(tensor.shape) != tuple(d.at(1) for d in kind.shape):
            raise InvalidModel(str(path), f"weight {name!r} is not what the graph says", remedy=_REMEDY)
    return weights


def _in_order(path: Path, tensor: torch.Tensor, name: str, order: Any) -> torch.Tensor:
    """A stored tensor with its dimensions where the model has them, strides as they were."""
    if order is None:
        return tensor
    if not isinstance(order, list) or sorted(order) != list(range(tensor.dim())):
        raise InvalidModel(str(path), f"weight {name!r} has no valid stride order", value=order, remedy=_REMEDY)
    return tensor.permute([order.index(d) for d in range(tensor.dim())])


def _read_calibration(path: Path) -> tuple[torch.Tensor, ...]:
    stored = _read_tensors(path)
    return tuple(stored[name] for name in sorted(stored))


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InvalidModel(str(path), f"cannot be read: {error}", remedy=_REMEDY) from error


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    # Renamed into place: a process that has the old file mapped keeps it.
    fresh = path.with_suffix(".new")
    save_file({n: t.contiguous() for n, t in tensors.items()}, fresh)
    os.replace(fresh, path)


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise InvalidModel(str(path), "is too large", remedy=_REMEDY)
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InvalidModel(str(path), f"is not JSON: {error}", remedy=_REMEDY) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise InvalidModel(str(path), f"is not of format {_FORMAT}", remedy=_REMEDY)
    return data


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
