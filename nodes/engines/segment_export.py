"""A slice as torch.export describes it, its batch open: what both compiling engines compile."""

from __future__ import annotations

import warnings

import torch
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic_shapes_config

from isthmus.errors import InvalidModel
from nodes.engines.compiled_slice import CompiledSlice

__all__ = ["cannot_compile", "exported_slice"]

# 0 and 1 would be compiled as constants.
_EXAMPLE_BATCH = 2


def exported_slice(piece: CompiledSlice) -> ExportedProgram:
    """Export `piece` (not empty) for every batch. Takes 1 to 3 s for a whole model. Raises InvalidModel."""
    kinds = piece.input_types
    examples = tuple(
        torch.zeros([size.at(_EXAMPLE_BATCH) for size in kind.shape], dtype=getattr(torch, kind.dtype))
        for kind in kinds
    )
    shapes = tuple({at: Dim.DYNAMIC for at, size in enumerate(kind.shape) if size.per_item} for kind in kinds)
    # Without "oblivious" the code may rely on a batch of two or more.
    oblivious = symbolic_shapes_config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    try:
        with torch.no_grad(), oblivious, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(piece.module, examples, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # whatever torch's internals raise
        raise cannot_compile(piece, error) from error


def cannot_compile(piece: CompiledSlice, error: Exception | str) -> InvalidModel:
    """The error that says so in one line, whatever torch or the C++ compiler said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = "" if isinstance(error, str) else f"{type(error).__name__}: "
    said = (lines[0] if lines else "no word why")[:300]
    remedy = "use engine: onnxruntime or eager"
    where = f"segment of {piece.model.name} up to {piece.outputs[0]}"
    return InvalidModel(where, f"cannot be compiled: {kind}{said}", remedy=remedy)
