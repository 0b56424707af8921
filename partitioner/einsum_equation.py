"""What an Einsum does, by its equation: what is not in the result is summed over, the rest only moves or multiplies."""

from __future__ import annotations

__all__ = ["einsum_kind"]


def einsum_kind(equation: str) -> str:
    """The ONNX operator that does the like: Transpose, ReduceSum, Mul, or Einsum where several operands are summed up.

    equation: as ONNX and torch have it, "bhwc,c->bchw"; without an arrow the result has the indices
    that stand in it once.
    """
    operands, arrow, result = equation.replace(" ", "").replace("...", ".").partition("->")
    terms = operands.split(",")
    kept = set(result) if arrow else {index for index in operands if index == "." or operands.count(index) == 1}
    is_summed = any(set(term) - kept for term in terms)
    if len(terms) == 1:
        return "ReduceSum" if is_summed else "Transpose"
    return "Einsum" if is_summed else "Mul"
