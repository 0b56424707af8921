"""Plans that keep an accuracy budget: measure the codecs that the solver wants to use, take away what loses too much.

Each (tensor, codec) is measured alone, and each finished plan as a whole; a plan over the budget is solved again
without its worst codec. That last step is a heuristic: codecs that are harmless alone may add up in more ways than one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from nodes.measure.accuracy import measure_accuracy
from partitioner.accuracy_rule import AccuracyTable
from partitioner.codec_choice import CodecSize
from partitioner.model import Model
from partitioner.plan import Plan

__all__ = ["accuracy_table"]

_Pair = tuple[str, str]


def accuracy_table(
    model: Model, solve: Callable[[AccuracyTable], Sequence[Plan]], codecs: Iterable[CodecSize], budget: float
) -> AccuracyTable:
    """The table under which all plans of `solve` keep to `budget`, as measured on the calibration inputs.

    Only what plans really use is measured. Without calibration inputs no lossy codec is allowed.
    Raises InvalidInput for a budget outside 0 to 1.
    """
    losses: dict[_Pair, float] = {}
    if not model.calibration:
        return AccuracyTable(budget, losses)
    lossy = {size.codec for size in codecs if not size.lossless}
    while True:
        plans = solve(AccuracyTable(budget, losses, unmeasured=True))
        measured = [_measure_pairs(model, plan, lossy, losses) for plan in plans]
        if any(measured):
            continue
        if not any(_refuse(model, plan, lossy, losses, budget) for plan in plans):
            return AccuracyTable(budget, losses)


def _lossy_pairs(plan: Plan, lossy: set[str]) -> list[_Pair]:
    return [(tensor.tensor, tensor.codec) for tensor in plan.boundary if tensor.codec in lossy]


def _measure_pairs(model: Model, plan: Plan, lossy: set[str], losses: dict[_Pair, float]) -> bool:
    """Measure what is new in `plan`, each pair alone; whether there was any."""
    new = [pair for pair in _lossy_pairs(plan, lossy) if pair not in losses]
    losses.update({pair: 1.0 - measure_accuracy(model, plan.edge_ops, dict([pair])).value for pair in new})
    return bool(new)


def _refuse(model: Model, plan: Plan, lossy: set[str], losses: dict[_Pair, float], budget: float) -> bool:
    """Forbid the worst codec of a plan that loses more than the budget as a whole; whether it did.

    With one lossy codec the whole is what was measured alone.
    """
    pairs = _lossy_pairs(plan, lossy)
    if len(pairs) < 2 or 1.0 - measure_accuracy(model, plan.edge_ops, dict(pairs)).value <= budget:
        return False
    losses[max(pairs, key=lambda pair: losses[pair])] = math.inf
    return True
