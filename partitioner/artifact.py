"""A model in a folder, as data only: graph.json, weights.safetensors, spec.json, perhaps calibration.safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from isthmus.errors import InvalidModel
from isthmus.whole_file import whole_file
from partitioner.model import NO_CALIBRATION, Calibration, Model
from partitioner.plain_json import canonical_json
from partitioner.spec import Interface
from partitioner.torch_artifact import torch_graph_data, torch_model_from_data
from partitioner.torch_model import TorchModel
from partitioner.weights import contiguous_form

__all__ = ["artifact_bytes", "artifact_digest", "artifact_name", "is_artifact", "load_artifact", "save_artifact"]

_FORMAT = 1
_GRAPH, _SPEC = "graph.json", "spec.json"
_WEIGHTS, _CALIBRATION = "weights.safetensors", "calibration.safetensors"
_GROUPS, _TRUTH = "groups", "truth"  # among the calibration tensors, which are numbered
_REMEDY = "import the model anew"
_MAX_JSON_BYTES = 256 << 20


def is_artifact(folder: Path) -> bool:
    """Whether `folder` looks like what `save_artifact` writes."""
    return (folder / _GRAPH).is_file() and (folder / _SPEC).is_file()


def artifact_digest(folder: str | Path) -> str:
    """The digest of the model that `folder` says it holds; `load_artifact` finds out whether it does.

    Raises InvalidModel.
    """
    return str(_read_spec(Path(folder))["digest"])


def artifact_name(folder: str | Path) -> str:
    """The name of the model that `folder` says it holds, which its digest covers. Raises InvalidModel."""
    spec = _read_spec(Path(folder))
    return Interface.from_json(canonical_json(spec["interface"])).name


def artifact_bytes(folder: str | Path) -> int:
    """What the weights of the model in `folder` take. Raises InvalidModel."""
    path = Path(folder) / _WEIGHTS
    try:
        return path.stat().st_size
    except OSError as error:
        raise InvalidModel(str(path), f"cannot be read: {error.strerror}", remedy=_REMEDY) from error


def save_artifact(model: Model, folder: str | Path) -> None:
    """Write `model` into `folder`, made when missing. Each file is replaced as a whole; spec.json comes last."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    graph = {"format": _FORMAT, **_graph_data(model)}
    _write_tensors(target / _WEIGHTS, {n: contiguous_form(t) for n, t in model.weights.items()})
    _write(target / _GRAPH, canonical_json(graph))
    hashes = {_GRAPH: _sha256(target / _GRAPH)}
    (target / _CALIBRATION).unlink(missing_ok=True)
    if model.calibration:
        tensors = {f"{i:04d}": t.contiguous() for i, t in enumerate(model.calibration)}
        for name, numbers in ((_GROUPS, model.calibration_groups), (_TRUTH, model.calibration_truth)):
            if numbers:
                tensors[name] = torch.tensor(numbers)
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
    kept = _CALIBRATION in spec["sha256"]
    calibration = _read_calibration(source / _CALIBRATION) if kept else NO_CALIBRATION
    interface = Interface.from_json(canonical_json(spec["interface"]))
    model = _read_model(source, interface, calibration)
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


def _graph_data(model: Model) -> dict[str, Any]:
    return torch_graph_data(model) if isinstance(model, TorchModel) else model.structure()


def _read_model(source: Path, interface: Interface, calibration: Calibration) -> Model:
    data, weights = _read_json(source / _GRAPH), _read_tensors(source / _WEIGHTS)
    try:
        if "onnx" in data:
            from partitioner.onnx_artifact import (
                onnx_model_from_data,
            )  # imports onnxruntime, which torch models do without

            return onnx_model_from_data(data, weights, interface, calibration)
        return torch_model_from_data(data, weights, interface, calibration)
    except InvalidModel as error:
        where = f"{source / _GRAPH} or {_WEIGHTS}: {error.field}"
        raise InvalidModel(where, error.problem, value=error.value, remedy=error.remedy) from error


def _read_calibration(path: Path) -> Calibration:
    stored = _read_tensors(path)
    groups, truth = (_numbers(path, stored, name) for name in (_GROUPS, _TRUTH))
    return Calibration(tuple(stored[name] for name in sorted(stored)), groups, truth)


def _numbers(path: Path, stored: dict[str, torch.Tensor], name: str) -> tuple[int, ...]:
    """Taken out of what is stored."""
    found = stored.pop(name, torch.empty(0, dtype=torch.int64))
    if found.dim() != 1 or found.dtype != torch.int64:
        raise InvalidModel(str(path), f"has {name} that are no list of whole numbers", remedy=_REMEDY)
    return tuple(found.tolist())


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InvalidModel(str(path), f"cannot be read: {error}", remedy=_REMEDY) from error


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    # Renamed into place: a process that has the old file mapped keeps it.
    with whole_file(path, path.with_suffix(".new")) as fresh:
        save_file({n: t.contiguous() for n, t in tensors.items()}, fresh)


def _write(path: Path, text: str) -> None:
    with whole_file(path, path.with_suffix(".new")) as fresh:
        fresh.write_text(text, encoding="utf-8")


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
