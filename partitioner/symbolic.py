"""Symbolic sizes of an export as numbers that are affine in the batch; everything else dynamic is refused."""

from __future__ import annotations

from dataclasses import dataclass

import sympy  # type: ignore[import-untyped]
import torch
from torch import fx
from torch.export import ExportedProgram

from isthmus.errors import InvalidModel
from partitioner.graph import DTYPE_BYTES, Dimension
from partitioner.program import TensorType

__all__ = ["BatchSymbols", "tensor_type"]

_MAX_BATCH = 1 << 16
_BATCH = sympy.Symbol("batch", positive=True, integer=True)


@dataclass(frozen=True, slots=True)
class BatchSymbols:
    """The symbols that export gave to the first dimensions of the inputs: all of them are the one batch."""

    names: frozenset[str]
    max_batch: int

    @classmethod
    def of(cls, exported: ExportedProgram, inputs: list[fx.Node]) -> BatchSymbols:
        """Raises InvalidModel when an input is no tensor, or its batch is fixed or may not be one."""
        names: set[str] = set()
        limit = _MAX_BATCH
        for node in inputs:
            symbol = _batch_symbol(node)
            bounds = exported.range_constraints.get(symbol)
            lower, upper = (bounds.lower, bounds.upper) if bounds is not None else (0, limit)
            # Export states 2 for "any" unless it was told otherwise: it treats 0 and 1 apart.
            if lower > 2:
                raise InvalidModel(f"input {node.name!r}", f"needs a batch of {lower} or more", remedy=_ANY_BATCH)
            limit = int(min(limit, upper))
            names.add(str(symbol))
        return cls(frozenset(names), limit)

    def affine(self, size: int | torch.SymInt) -> Dimension | None:
        """`size` as per_item * batch + fixed; None when it is something else."""
        if not isinstance(size, torch.SymInt):
            return Dimension(0, int(size))
        expression = size.node.expr
        if not expression.free_symbols:
            return Dimension(0, int(expression))
        if any(str(s) not in self.names for s in expression.free_symbols):
            return None
        return _affine(expression.subs(dict.fromkeys(expression.free_symbols, _BATCH)))


def tensor_type(node: fx.Node, symbols: BatchSymbols) -> TensorType:
    """dtype and shape of the tensor that `node` makes. Raises InvalidModel naming the node."""
    value = node.meta["val"]
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPE_BYTES or value.layout is not torch.strided:
        remedy = "use dense tensors of common dtypes"
        raise InvalidModel(f"tensor {node.name!r}", f"is {dtype}, {value.layout}", remedy=remedy)
    shape = tuple(symbols.affine(s) for s in value.shape)
    if None in shape:
        problem = f"has the shape {tuple(map(str, value.shape))}, which is not a fixed multiple of the batch"
        remedy = "keep every dimension but the batch fixed, and sizes independent of the data"
        raise InvalidModel(f"op {node.name!r}", problem, remedy=remedy)
    return TensorType(dtype, tuple(d for d in shape if d is not None))


_ANY_BATCH = "export it with dynamic_shapes=({0: Dim.DYNAMIC}, ...) and no condition on the batch size"


def _batch_symbol(node: fx.Node) -> sympy.Symbol:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise InvalidModel(f"input {node.name!r}", "is not a tensor", remedy="take tensors only")
    if value.dim() == 0:
        raise InvalidModel(
            f"input {node.name!r}", "has no batch dimension", remedy="make the first dimension the batch"
        )
    size = value.shape[0]
    if not isinstance(size, torch.SymInt) or not isinstance(size.node.expr, sympy.Symbol):
        raise InvalidModel(f"input {node.name!r}", f"has its batch fixed to {size}", remedy=_ANY_BATCH)
    return size.node.expr


def _affine(expression: sympy.Expr) -> Dimension | None:
    if not expression.is_polynomial(_BATCH):
        return None
    coefficients = sympy.Poly(expression, _BATCH).all_coeffs()
    if len(coefficients) > 2 or not all(c.is_integer for c in coefficients):
        return None
    *slope, fixed = (int(c) for c in coefficients)
    return Dimension(slope[0] if slope else 0, fixed)
