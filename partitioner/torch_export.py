"""torch.export with a dynamic batch, its many failures told as what the model's author can change."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic_shapes_config
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from isthmus.errors import InvalidModel

__all__ = ["check_examples", "export_module", "with_batch"]

_REMEDIES: tuple[tuple[str, str, str], ...] = (
    ("Constraints violated", "fixes its batch size", "take sizes from the input's shape, and branch on no batch size"),
    ("L['", "fixes its batch size", "take sizes from the input's shape, and branch on no batch size"),
    ("pytree", "returns or takes a class that torch does not know", "return tensors, tuples, lists or dicts"),
    ("numpy", "leaves torch for numpy", "use torch operators only"),
    ("unbacked", "makes sizes that depend on the data", "use a form with a fixed size, such as torch.where"),
    ("data-dependent", "branches on the data", "use torch.where, or split the model at the branch"),
)


def check_examples(examples: tuple[Tensor, ...]) -> None:
    """Raise InvalidModel unless there are examples, all tensors, batch first, of one batch size."""
    remedy = "give example_inputs=(tensor, ...), each with the batch first"
    if not examples:
        raise InvalidModel("example_inputs", "are missing", remedy=remedy)
    for index, example in enumerate(examples):
        if not isinstance(example, Tensor):
            kind = type(example).__name__
            raise InvalidModel(f"example_inputs[{index}]", "is not a tensor", value=kind, remedy=remedy)
        if example.dim() == 0 or example.shape[0] == 0:
            raise InvalidModel(f"example_inputs[{index}]", "has no batch dimension", remedy=remedy)
    batches = [e.shape[0] for e in examples]
    if len(set(batches)) > 1:
        raise InvalidModel("example_inputs", "have different batch sizes", value=batches, remedy=remedy)


def with_batch(examples: tuple[Tensor, ...], batch: int) -> tuple[Tensor, ...]:
    """The examples repeated or shortened to `batch` items."""
    return tuple(e[[i % e.shape[0] for i in range(batch)]] for e in examples)


def export_module(module: nn.Module, examples: tuple[Tensor, ...]) -> ExportedProgram:
    """Export with a dynamic first dimension on every input. Raises InvalidModel naming cause and remedy."""
    check_examples(examples)
    # One example item would fix the batch: export treats sizes 0 and 1 apart.
    doubled = examples if examples[0].shape[0] > 1 else with_batch(examples, 2)
    # Without "oblivious" the range of every batch starts at 2, and a branch on `batch > 1` would go unseen.
    oblivious = symbolic_shapes_config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), oblivious, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, doubled, dynamic_shapes=_shapes(module, len(doubled)), strict=False)
    except Exception as error:  # export raises whatever the model's own code and torch's internals raise
        raise _translated(module, error) from error


def _shapes(module: nn.Module, count: int) -> tuple[Any, ...]:
    """A dynamic first dimension for each of `count` inputs, nested as the module's own signature takes them."""
    shapes: list[Any] = [{0: Dim.DYNAMIC} for _ in range(count)]
    parameters = list(inspect.signature(module.forward).parameters.values())
    star = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL), None)
    return tuple(shapes) if star is None else (*shapes[:star], tuple(shapes[star:]))


def _translated(module: nn.Module, error: Exception) -> InvalidModel:
    name, text = type(module).__name__, str(error)
    if isinstance(error, GuardOnDataDependentSymNode):
        text = "data-dependent"
    for sign, problem, remedy in _REMEDIES:
        if sign in text:
            return InvalidModel(f"module {name}", problem, remedy=remedy)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return InvalidModel(
        f"module {name}", f"cannot be exported: {first[:300]}", remedy="see torch.export's documentation"
    )
