"""From the text that names a model to the model: an artifact folder, a file of any known kind, or `module:callable`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from isthmus.errors import InvalidModel, IsthmusError
from partitioner.artifact import is_artifact, load_artifact
from partitioner.front_end import model_from_module, model_from_pt2
from partitioner.model import Model
from partitioner.module_path import on_module_path
from partitioner.spec import ModelSpec
from partitioner.torchscript import model_from_torchscript
from partitioner.torchscript_scan import is_torchscript

__all__ = ["resolve_model"]

_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
_REMEDY = "give an artifact folder, a .pt2, TorchScript or .onnx file, or module:callable"


def resolve_model(
    source: str | Path, search_path: Path | None = None, name: str = "", example_inputs: tuple[Tensor, ...] = ()
) -> Model:
    """Load what `source` names.

    example_inputs: for a file that does not say the shapes of its inputs; others ignore them.
    A factory is looked up with the current directory and `search_path` (a configuration's folder) on the import path,
    and returns (nn.Module, example inputs) or a ModelSpec. name: what to call a model that does not say so.
    Raises InvalidModel when `source` names no model.
    """
    text = str(source)
    path = Path(text)
    if _FACTORY.match(text) and not path.exists():
        return _from_factory(text, search_path, name)
    if not path.exists() and search_path is not None and not path.is_absolute():
        path = search_path / path
    if path.is_dir():
        return _from_folder(path)
    if not path.is_file():
        raise InvalidModel("model", "there is no such file, folder or factory", value=text, remedy=_REMEDY)
    return _from_file(path, name, example_inputs)


def _from_folder(path: Path) -> Model:
    if is_artifact(path):
        return load_artifact(path)
    raise InvalidModel(str(path), "is not a model folder: graph.json or spec.json is missing", remedy=_REMEDY)


def _from_file(path: Path, name: str, example_inputs: tuple[Tensor, ...]) -> Model:
    if path.suffix == ".onnx":
        from partitioner.onnx_front_end import model_from_onnx  # imports onnxruntime, which torch models do without

        return model_from_onnx(path, example_inputs, name)
    if path.suffix == ".pt2":
        return model_from_pt2(path, name)
    if is_torchscript(path):
        return model_from_torchscript(path, example_inputs, name)
    if path.suffix in (".pt", ".pth", ".jit"):
        remedy = "save the module with torch.jit.save or torch.export.save"
        raise InvalidModel(str(path), "is no TorchScript; pickled modules are code and are not loaded", remedy=remedy)
    raise InvalidModel(str(path), "is not a model file", remedy=_REMEDY)


def _from_factory(text: str, search_path: Path | None, name: str) -> Model:
    with on_module_path(str(search_path) if search_path else ""):
        factory = _factory(text)
        try:
            made = factory()
        except IsthmusError:
            raise
        except Exception as error:  # the user's own code
            raise InvalidModel(text, f"raised {type(error).__name__}: {error}", remedy="correct the factory") from error
        return _from_made(text, made, name)


def _from_made(text: str, made: object, name: str) -> Model:
    called = name or text.rpartition(":")[2].rpartition(".")[2].replace("_", "-")
    match made:
        case ModelSpec():
            return model_from_module(made, name=called)
        case (nn.Module() as module, tuple() | list() as examples):
            return model_from_module(module, tuple(examples), called)
        case (nn.Module() as module, Tensor() as example):
            return model_from_module(module, (example,), called)
        case _:
            remedy = "return (nn.Module, example_inputs) or a ModelSpec"
            raise InvalidModel(text, "returned no model", value=type(made).__name__, remedy=remedy)


def _factory(text: str) -> Callable[[], object]:
    module_name, _, attributes = text.partition(":")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:  # importing runs the user's own code
        problem = f"module {module_name!r} cannot be imported: {error}"
        raise InvalidModel(text, problem, remedy="run from the folder that holds it, or install it") from error
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
    if not callable(found):
        raise InvalidModel(text, f"module {module_name!r} has no callable {attributes!r}", remedy=_REMEDY)
    return found
