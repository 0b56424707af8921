"""How close two sets of answers are, with intervals that know that crops of one photo are no independent witnesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidInput

__all__ = ["AnswerQuality", "Share", "answer_quality", "grouped_share"]

CONFIDENT = 0.5
"""An answer whose best class has more than this probability counts as confident."""

_RESAMPLES = 1000
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over `n` items, with the 95 % interval of a bootstrap over their groups (Efron 1979)."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class AnswerQuality:
    """What became of a model's first output on the way through a cut with codecs.

    cosine: of the outputs. max_abs: the largest difference of one number of them. top1_agreement,
    confident_agreement (of the answers that were confident; None where none was) and divergence (Kullback-Leibler of
    the class probabilities, in nats): for outputs with classes, else None. accuracy, whole_accuracy: shares of right
    answers with codecs and without, where the truth is known.
    """

    cosine: Share
    max_abs: float
    top1_agreement: Share | None = None
    confident_agreement: Share | None = None
    divergence: Share | None = None
    accuracy: Share | None = None
    whole_accuracy: Share | None = None

    @property
    def agreement(self) -> Share:
        """What an accuracy budget is about: top-1 agreement for outputs with classes, cosine similarity else."""
        return self.top1_agreement or self.cosine


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
    left, right = whole.flatten(1).double(), other.flatten(1).double()
    cosine = grouped_share(torch.cosine_similarity(left, right), names)
    max_abs = float((left - right).abs().max())
    if not classes:
        return AnswerQuality(cosine, max_abs)
    best = left.argmax(1)
    agree = best == right.argmax(1)
    confident = left.softmax(1).amax(1) > CONFIDENT
    divergence = (left.softmax(1) * (left.log_softmax(1) - right.log_softmax(1))).sum(1)
    return AnswerQuality(
        cosine,
        max_abs,
        grouped_share(agree, names),
        grouped_share(agree[confident], names[confident.numpy()]) if bool(confident.any()) else None,
        grouped_share(divergence, names),
        grouped_share(right.argmax(1) == truth, names) if truth is not None else None,
        grouped_share(best == truth, names) if truth is not None else None,
    )


def grouped_share(values: torch.Tensor, groups: npt.NDArray[np.int64]) -> Share:
    """The mean of `values` (one an item) and its interval, groups resampled with replacement. Deterministic."""
    numbers: Doubles = values.double().numpy()
    _, member = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(member, weights=numbers), np.bincount(member)
    source = np.random.default_rng(0)
    drawn = source.integers(0, len(sizes), (_RESAMPLES, len(sizes)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Share(float(numbers.mean()), float(low), float(high), len(numbers))
