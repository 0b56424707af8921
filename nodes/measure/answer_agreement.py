"""How far two sets of answers agree, item by item: 1 where perfectly.

Which measure an output is judged by is its form's: the best class where it ranks classes, else the cosine of what it
holds. Cosine says nothing of one number, which always points where another of its sign does: there it is the
difference, as a share of how far the whole model's answers lie apart.
"""

from __future__ import annotations

import math

import torch

from partitioner.plan_table import Metric

__all__ = ["agreement", "comparable", "largest_difference", "metric_for", "rows"]

_LEAST_SPREAD = 0.01  # of their size


def metric_for(outputs: torch.Tensor, *, classes: bool) -> Metric:
    """What outputs (items, ...) are judged by. classes: whether they rank classes."""
    if rows(outputs).shape[1] == 1:
        return "closeness"
    return "top1_agreement" if classes else "cosine"


def rows(outputs: torch.Tensor) -> torch.Tensor:
    """float64 (items, numbers), of outputs (items, ...) or (items,)."""
    return outputs.double().reshape(len(outputs), math.prod(outputs.shape[1:]))


def agreement(metric: Metric, whole: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """float64, one value an item (dimension 0) of the whole model's answers and others: 1 where the two agree
    perfectly, and never NaN.
    """
    left, right = comparable(rows(whole), rows(other))
    if left.shape[1] == 0:
        return torch.ones(len(left), dtype=left.dtype)  # nothing is nowhere best, nor does it point anywhere
    if metric == "top1_agreement":
        unknown = (left.isnan() | right.isnan()).any(1)
        return ((rows(whole).argmax(1) == rows(other).argmax(1)) & ~unknown).double()
    found = torch.cosine_similarity(left, right) if metric == "cosine" else _closeness(rows(whole), left - right)
    # Zeros have no direction, and what is not finite neither a direction nor a distance.
    return torch.where((left == right).all(1), 1.0, found.nan_to_num(0.0))


def comparable(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both with zeros where they hold the same infinity, or both NaN: a masked class says nothing of the others."""
    same = (left.isinf() & (left == right)) | (left.isnan() & right.isnan())
    return left.masked_fill(same, 0.0), right.masked_fill(same, 0.0)


def largest_difference(left: torch.Tensor, right: torch.Tensor) -> float:
    """The largest of one number, 0 where there is none. Infinity where one side has a number that is not finite, and
    the other another; never NaN."""
    same, other = comparable(left.double(), right.double())
    off = (same - other).abs().nan_to_num(math.inf, posinf=math.inf)
    return float(off.max()) if off.numel() else 0.0


def _closeness(answers: torch.Tensor, off: torch.Tensor) -> torch.Tensor:
    """1 less `off` over the spread of the answers, or over a hundredth of their size where that is more, as the spread
    of answers that are all alike is noise; 0 at the least."""
    known = answers[answers.isfinite()]
    if len(known) == 0:
        return torch.zeros(len(answers), dtype=answers.dtype)
    scale = torch.maximum(known.max() - known.min(), _LEAST_SPREAD * known.abs().max())
    return (1.0 - off.abs().amax(1) / scale).clamp_min(0.0)
