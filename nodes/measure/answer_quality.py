"""How close two sets of answers are, with intervals that know that crops of one photo are no independent witnesses.

An interval is the 2.5th to the 97.5th percentile of the mean over 1,000 resamples of the sources (Efron, Annals of
Statistics 7, 1979). Where all items agree no resample knows of one that does not, and of one source all resamples are
the same: such an interval would be as narrow as can be where least is known. Then a share has the score interval of
as many independent witnesses as there are sources (Wilson, JASA 22, 1927): of 30 sources that all agree, 0.886 to 1.
Where the items of a source agree in part that is rather too wide than too narrow: numbers from 0 to 1 vary the most
where they are zeros and ones (Bhatia and Davis, American Mathematical Monthly 107, 2000). Other numbers of one source
may be of another whatever such a number may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput
from nodes.measure.answer_agreement import agreement, comparable, largest_difference, metric_for, rows
from partitioner.plan_table import Metric

__all__ = ["AnswerQuality", "Share", "answer_quality", "grouped_share"]

CONFIDENT = 0.5
"""An answer whose best class has more than this probability counts as confident."""

_RESAMPLES = 1000
_Z = 1.959964  # the normal distribution's 97.5th percentile
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over `n` items, with its 95 % interval by source."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """What became of a model's first output on the way through a cut with codecs.

    cosine: of the outputs. max_abs: the largest difference of one number of them. closeness: for outputs of one number
    (see `nodes.measure.answer_agreement`), which have no classes, else None. top1_agreement, confident_agreement (of
    the answers that were confident; None where none was) and divergence (Kullback-Leibler of the class probabilities,
    in nats): for outputs with classes, else None. accuracy, whole_accuracy: shares of right answers with codecs and
    without, where the truth is known.
    """

    cosine: Share
    max_abs: float
    top1_agreement: Share | None = None
    confident_agreement: Share | None = None
    divergence: Share | None = None
    accuracy: Share | None = None
    whole_accuracy: Share | None = None
    closeness: Share | None = None

    @property
    def agreement(self) -> Share:
        """What an accuracy budget is about: see `metric`."""
        return self.closeness or self.top1_agreement or self.cosine

    @property
    def metric(self) -> Metric:
        """Top-1 agreement for outputs with classes, closeness for those of one number, cosine similarity else."""
        if self.closeness is not None:
            return "closeness"
        return "cosine" if self.top1_agreement is None else "top1_agreement"


def answer_quality(
    whole: torch.Tensor,
    other: torch.Tensor,
    *,
    classes: bool,
    groups: Sequence[int] | None = None,
    truth: torch.Tensor | None = None,
) -> AnswerQuality:
    """Compare outputs (items, ...) of the whole model with others for the same items.

    groups: which photo (or other source) each item came from; resampled as a whole. truth: the right classes.
    Raises InvalidInput where there are no items or the lengths differ.
    """
    count = len(whole)
    lengths = {count, len(other), len(groups or whole), len(truth if truth is not None else whole)}
    if count == 0 or len(lengths) > 1:
        raise InvalidInput("answers", "must be as many on both sides, one at least", value=sorted(lengths))
    names = np.asarray(groups if groups is not None else range(count))
    metric, left, right = metric_for(whole, classes=classes), rows(whole), rows(other)
    cosine = grouped_share(agreement("cosine", whole, other), names, least=-1.0, most=1.0)
    max_abs = largest_difference(left, right)
    if metric != "top1_agreement":
        near = grouped_share(agreement(metric, whole, other), names, most=1.0) if metric == "closeness" else None
        return AnswerQuality(cosine, max_abs, closeness=near)
    best = left.argmax(1)
    agree = agreement(metric, whole, other) == 1.0
    confident = left.softmax(1).amax(1) > CONFIDENT
    return AnswerQuality(
        cosine,
        max_abs,
        grouped_share(agree, names),
        grouped_share(agree[confident], names[confident.numpy()]) if bool(confident.any()) else None,
        grouped_share(_divergence(left, right), names),
        grouped_share(right.argmax(1) == truth, names) if truth is not None else None,
        grouped_share(best == truth, names) if truth is not None else None,
    )


def _divergence(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Of each item's class probabilities; a class that `left` rules out adds nothing. Infinity where it is none."""
    probable = left.softmax(1)
    terms = probable * (left.log_softmax(1) - right.log_softmax(1))
    same, other = comparable(left, right)
    divergence = torch.where(probable > 0, terms, 0.0).sum(1).nan_to_num(math.inf, posinf=math.inf)
    return torch.where((same == other).all(1), 0.0, divergence)


def grouped_share(
    values: torch.Tensor, groups: npt.NDArray[np.int64], *, least: float = 0.0, most: float = math.inf
) -> Share:
    """The mean of `values` (one an item) and its interval, groups resampled with replacement. Deterministic.

    values: truth values for a share; numbers between `least` and `most` for a mean.
    """
    numbers: Doubles = values.double().numpy()
    value = float(numbers.mean())
    if not math.isfinite(value):
        return Share(value, least, most, len(numbers))  # infinities have no quantiles
    _, member = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(member, weights=numbers), np.bincount(member)
    source = np.random.default_rng(0)
    drawn = source.integers(0, len(sizes), (_RESAMPLES, len(sizes)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    if values.dtype == torch.bool and low == high:
        low, high = _score_interval(value, len(sizes))
    elif len(sizes) == 1:
        low, high = least, most
    return Share(value, float(low), float(high), len(numbers))


def _score_interval(share: float, n: int) -> tuple[float, float]:
    """Of a share of n independent ones (Wilson 1927)."""
    more = _Z * _Z / n
    middle = (share + more / 2) / (1 + more)
    half = _Z * math.sqrt(share * (1 - share) / n + more / (4 * n)) / (1 + more)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
