"""What people have (a module, a .pt2 file) becomes a Model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from isthmus.errors import InvalidModel, IsthmusError
from partitioner.exported import Captured, capture
from partitioner.flops import count_flops
from partitioner.program import is_name
from partitioner.pt2_scan import scanned_pt2
from partitioner.spec import InputSpec, Interface, ModelSpec, OutputSpec
from partitioner.torch_export import check_examples, export_module, with_batch
from partitioner.torch_model import TorchModel

__all__ = ["check_same", "model_from_module", "model_from_pt2", "run_module"]

_DEFAULT_MAX_BATCH = 64
_SHOWN_CLASSES = 5
_LOGS = ("torch.export", "torch.fx.experimental.symbolic_shapes")


def model_from_module(
    module: ModelSpec | nn.Module, example_inputs: tuple[Tensor, ...] | Tensor = (), name: str = ""
) -> TorchModel:
    """A TorchModel of a ModelSpec, or of a module with example inputs (batch first, any batch size).

    The module must be in the state that it is to run in (call .eval() first). It is run a few times, to check that what
    was exported gives the same results at other batch sizes. Raises InvalidModel naming cause and remedy.
    """
    spec = _spec(module, example_inputs, name)
    for input_name in spec.input_names:
        if not is_name(input_name):
            raise InvalidModel("input_names", "must be identifiers", value=input_name, remedy="use letters and digits")
    check_examples(spec.example_inputs)
    expected = run_module(spec.module, spec.example_inputs)
    exported = export_module(spec.module, spec.example_inputs)
    model = _model(exported, spec)
    check_same(model, spec.example_inputs, expected)
    for batch in (1, 3):
        examples = with_batch(spec.example_inputs, batch)
        check_same(model, examples, run_module(spec.module, examples))
    return model


def model_from_pt2(path: str | Path, name: str = "") -> TorchModel:
    """A TorchModel of a file that torch.export.save wrote, scanned for anything executable before torch opens it.

    Raises InvalidModel when it is no such file, holds code, or has a fixed batch.
    """
    file = Path(path)
    archive = scanned_pt2(file)
    doing = "load it"
    try:
        with warnings.catch_warnings(), _no_word_of_torch():
            warnings.simplefilter("ignore")
            exported = torch.export.load(archive)
            doing = "make out its graph"
            return _model(exported, ModelSpec(nn.Module(), (), name=name or file.stem))
    except IsthmusError:
        raise
    except Exception as error:  # whatever a damaged archive, or a graph at odds with itself, provokes inside torch
        words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        remedy = "save it again with this torch"
        raise InvalidModel(str(file), f"torch cannot {doing}: {words}", remedy=remedy) from error


@contextmanager
def _no_word_of_torch() -> Iterator[None]:
    """Without what it logs of a file that it cannot read, a traceback among it, before it says so with an error."""
    was = {log: log.disabled for log in map(logging.getLogger, _LOGS)}
    try:
        for log in was:
            log.disabled = True
        yield
    finally:
        for log, disabled in was.items():
            log.disabled = disabled


def _spec(module: ModelSpec | nn.Module, examples: tuple[Tensor, ...] | Tensor, name: str) -> ModelSpec:
    if isinstance(module, ModelSpec):
        return replace(module, name=module.name or name or type(module.module).__name__)
    if not isinstance(module, nn.Module):
        kind = type(module).__name__
        raise InvalidModel("model", "is not a torch.nn.Module", value=kind, remedy="give a module with example_inputs")
    given = (examples,) if isinstance(examples, Tensor) else tuple(examples)
    return ModelSpec(module, given, name=name or type(module).__name__)


def _model(exported: ExportedProgram, spec: ModelSpec) -> TorchModel:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        captured = capture(exported, spec.input_names)
    interface = _interface(captured, spec, exported)
    flops = count_flops(captured.program, captured.weights)
    sources, truth = tuple(spec.calibration_groups), tuple(spec.calibration_truth)
    return TorchModel(captured.program, captured.weights, interface, flops, spec.calibration, sources, truth)


def _interface(captured: Captured, spec: ModelSpec, exported: ExportedProgram) -> Interface:
    names = captured.program.inputs
    outputs = spec.output_names or _output_names(exported.call_spec.out_spec, len(captured.program.outputs))
    _check_keys(spec.preprocessing, names, "preprocessing")
    _check_keys(spec.labels, outputs, "labels")
    return Interface(
        name=spec.name,
        inputs=tuple(InputSpec(n, spec.preprocessing.get(n)) for n in names),
        outputs=tuple(_output(n, tuple(spec.labels.get(n, ()))) for n in outputs),
        autonomy=spec.autonomy,
        max_batch=min(_DEFAULT_MAX_BATCH, captured.max_batch),
    )


def _output(name: str, labels: tuple[str, ...]) -> OutputSpec:
    """An output with labels holds logits of classes: softmax makes them probabilities."""
    return OutputSpec(name, labels, softmax=bool(labels), top_k=min(_SHOWN_CLASSES, len(labels)))


def _output_names(spec: Any, count: int) -> tuple[str, ...]:
    """A dict's own keys; else "output", or "output_0", "output_1"... ."""
    if spec is not None and spec.type is dict and len(spec.context) == count:
        return tuple(str(key) for key in spec.context)
    return ("output",) if count == 1 else tuple(f"output_{i}" for i in range(count))


def _check_keys(given: Mapping[str, object], names: tuple[str, ...], what: str) -> None:
    unknown = sorted(given.keys() - set(names))
    if unknown:
        raise InvalidModel(what, f"names {unknown[0]!r}, which the model does not have", remedy=f"use one of {names}")


def run_module(module: nn.Module, examples: tuple[Tensor, ...]) -> list[Tensor]:
    """The module's tensors, flattened in the order in which export flattens them."""
    try:
        with torch.no_grad():
            result = module(*(e.clone() for e in examples))
    except Exception as error:  # the user's own code
        what = f"module {type(module).__name__}"
        problem = f"fails on its example inputs with a batch of {examples[0].shape[0]}: {error}"
        raise InvalidModel(what, problem, remedy="it must run at any batch size") from error
    return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]


def check_same(model: TorchModel, examples: tuple[Tensor, ...], expected: list[Tensor]) -> None:
    """Raise InvalidModel unless the model's outputs are close to what its source gave."""
    with torch.no_grad():
        found = model(*examples)
    same = len(found) == len(expected) and all(map(_close, found, expected))
    if not same:
        problem = f"gives other results than its export with a batch of {examples[0].shape[0]}"
        remedy = "take out state, and branches on the batch or the data"
        raise InvalidModel(f"model {model.name!r}", problem, remedy=remedy)


def _close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    return torch.allclose(found, expected.to(found.device), rtol=1e-3, atol=1e-5, equal_nan=True)
