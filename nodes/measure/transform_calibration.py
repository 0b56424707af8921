"""A transform codec for one boundary tensor, with the coarsest step that keeps the answers within a budget.

The answer's noise is measured by running the suffix on rounded tensors, and scaled to other steps until the right one
is found: rounding errors grow in proportion to the step, and so does what they do to the answer. Every run's noise
counts for all steps, so that the search settles as it goes on. That is smoother
than counting changed answers at each step, of which a few hundred calibration items show one to ten. Only the codec
of the last step is made: fitting its coder takes longer than the suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr

from isthmus.errors import InvalidInput, InvalidPlan
from nodes.codecs.transform import TransformCodec
from nodes.measure.answer_agreement import agreement, metric_for, rows
from nodes.measure.calibration_items import CalibrationItems
from nodes.measure.transform_fit import TransformFit

__all__ = ["LARGEST_BUDGET", "calibrated_codec", "calibrated_step", "finer_factor", "transform_codec"]

CAUTION = 0.8
"""The share of the budget to aim at: calibration items are few, and what comes later differs from them."""

LARGEST_BUDGET = 0.1
"""Beyond, noise no longer grows with the step."""

_ROUNDS = 6
_NEAR_ENOUGH = 0.15  # of a factor on the step: about a fiftieth of the bytes
_ITEMS_FOR_NOISE = 10
_SURELY, _LEAST_FACTOR = 0.93, 0.67
_STEP_RANGE = 4.0  # how far the noise is scaled; coarse steps leave its proportion
_FAR = 1e30  # farther than any two logits; its square is a double
Doubles = npt.NDArray[np.float64]


def calibrated_codec(fit: TransformFit, items: CalibrationItems, tensor: str, budget: float) -> TransformCodec:
    """The codec of `tensor` at the calibrated step. Raises InvalidPlan where no table holds it."""
    return TransformCodec({"table": fit.table(calibrated_step(fit, items, tensor, budget)).to_text()})


def transform_codec(fit: TransformFit, step: float) -> TransformCodec | None:
    """The codec of that step; None where no table holds what was learned: many channels, numbers beyond all measure."""
    try:
        return TransformCodec({"table": fit.table(step).to_text()})
    except InvalidPlan:
        return None


def calibrated_step(fit: TransformFit, items: CalibrationItems, tensor: str, budget: float) -> float:
    """The coarsest step that is expected to change at most `CAUTION * budget` of the best classes, or to keep the
    cosine similarity, or the closeness of answers of one number, above 1 - CAUTION * budget.

    Raises InvalidInput for a budget that is not between 0 and LARGEST_BUDGET.
    """
    if not 0 < budget <= LARGEST_BUDGET:
        raise InvalidInput("budget", f"must be between 0 and {LARGEST_BUDGET}", value=budget)
    loss = CAUTION * budget
    step = float(np.sqrt(24 * loss / 4 / fit.coefficients[0].numel()))  # from the metric's own units: near enough
    tried: list[tuple[float, Callable[[float], float]]] = []
    for _ in range(_ROUNDS):
        other = items.answers({tensor: fit.rounded(step)})
        tried.append((step, _class_loss(items, other) if items.classes else _mean_shortfall(items, other)))
        step, before = step * _largest_factor(partial(_mean_loss, tried, step), loss), step
        if len(tried) > 1 and abs(np.log(step / before)) < _NEAR_ENOUGH:
            break
    return step


def _mean_loss(tried: Sequence[tuple[float, Callable[[float], float]]], step: float, factor: float) -> float:
    """What all that was tried says of `step` times `factor`. One round alone jumps: of thirty items' noise it shows one
    draw, which differs at the next step, so that a search by the last round only ended anywhere within a factor of 2.
    """
    return float(np.mean([expected(factor * step / own) for own, expected in tried]))


def finer_factor(items: CalibrationItems, other: torch.Tensor, budget: float) -> float:
    """By how much to shrink the step that gave the answers `other`, which lose more than `budget`, so that these very
    items keep it: their noise is taken to shrink alike. By a third at most: an item that is nearly a tie anyhow says
    little of the step, and falls on either side at the next one.
    """
    if not items.classes:
        ratio = budget / _mean_shortfall(items, other)(1.0)
        return max(_LEAST_FACTOR, _SURELY * float(ratio ** (1 / _power(items))))
    before = rows(items.outputs)
    best = before.argmax(1, keepdim=True)
    margins, noisy = _margins(before, best), _margins(rows(other), best)
    # An item's class holds up to the factor at which its noise has eaten up its margin; the worst may change.
    holding = np.sort(np.where(noisy < 0, margins / (margins - noisy), 1.0))
    return max(_LEAST_FACTOR, _SURELY * float(holding[int(budget * len(holding))]))


def _class_loss(items: CalibrationItems, other: torch.Tensor) -> Callable[[float], float]:
    """The share of best classes that change, by factor on the step: margins against normal noise as in their group.

    The noise has a mean below zero, since the best of the other classes is whichever the noise favours.
    """
    before = rows(items.outputs)
    best = before.argmax(1, keepdim=True)
    margins, noisy = _margins(before, best), _margins(rows(other), best)
    names, member = np.unique(np.asarray(items.groups), return_inverse=True)
    if len(member) < _ITEMS_FOR_NOISE * len(names):  # a few say little of the size of their noise: all are one group
        member = np.zeros_like(member)
    counts = np.bincount(member)
    lost = np.bincount(member, weights=noisy - margins) / counts
    variance = np.bincount(member, weights=(noisy - margins - lost[member]) ** 2) / counts
    spread = np.sqrt(np.maximum(variance, 1e-18))[member]
    return lambda factor: float(ndtr(-(margins / factor + lost[member]) / spread).mean())


def _margins(logits: torch.Tensor, best: torch.Tensor) -> Doubles:
    """How far class `best` lies above the best of the others; very far where those are masked, so -infinity."""
    others = logits.scatter(1, best, -torch.inf).amax(1)
    margins: Doubles = (logits.gather(1, best)[:, 0] - others).numpy()
    return np.nan_to_num(margins, nan=0.0, posinf=_FAR, neginf=-_FAR)


def _mean_shortfall(items: CalibrationItems, other: torch.Tensor) -> Callable[[float], float]:
    """How far the answers fall short of agreement on average, by factor on the step."""
    metric = metric_for(items.outputs, classes=False)
    loss, power = max(float((1 - agreement(metric, items.outputs, other)).mean()), 1e-18), _power(items)
    return lambda factor: loss * factor**power


def _power(items: CalibrationItems) -> int:
    """A difference grows with the noise, a cosine falls with the square of it."""
    return 1 if metric_for(items.outputs, classes=False) == "closeness" else 2


def _largest_factor(expected: Callable[[float], float], loss: float) -> float:
    """By bisection of the factor's logarithm; `expected` grows with the factor."""
    low, high = -np.log(_STEP_RANGE), np.log(_STEP_RANGE)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if expected(float(np.exp(middle))) <= loss else (low, middle)
    return float(np.exp(low))
