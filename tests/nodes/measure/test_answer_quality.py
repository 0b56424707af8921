"""What is said of two sets of answers, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isthmus.errors import InvalidInput
from nodes.measure.answer_quality import answer_quality, grouped_share


def test_the_same_answers_agree_in_every_respect() -> None:
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * 3
    found = answer_quality(logits, logits, classes=True)
    assert found.top1_agreement is not None
    assert found.divergence is not None
    assert (found.top1_agreement.value, found.max_abs, found.divergence.value) == (1.0, 0.0, 0.0)
    assert found.cosine.value == pytest.approx(1.0)


def test_agreement_counts_equal_best_classes() -> None:
    found = answer_quality(torch.eye(3), torch.eye(3)[[0, 2, 2]], classes=True)
    assert found.agreement.value == pytest.approx(2 / 3)


def test_confident_answers_are_counted_apart() -> None:
    whole = torch.tensor([[9.0, 0.0], [0.1, 0.0]])
    found = answer_quality(whole, whole.flip(1) * torch.tensor([[-1.0], [1.0]]), classes=True)
    assert found.top1_agreement is not None
    assert found.confident_agreement is not None
    assert found.confident_agreement.n == 2 - int(whole[1].softmax(0).max() <= 0.5)
    assert answer_quality(torch.zeros(2, 4), torch.zeros(2, 4), classes=True).confident_agreement is None


def test_an_output_without_classes_is_judged_by_its_direction() -> None:
    found = answer_quality(torch.ones(2, 4), 2 * torch.ones(2, 4), classes=False)
    assert found.top1_agreement is None
    assert found.agreement.value == pytest.approx(1.0)
    assert found.max_abs == 1.0


def test_accuracy_is_known_where_the_truth_is() -> None:
    found = answer_quality(torch.eye(4), torch.eye(4)[[0, 1, 1, 3]], classes=True, truth=torch.arange(4))
    assert found.accuracy is not None
    assert found.whole_accuracy is not None
    assert (found.accuracy.value, found.whole_accuracy.value) == (0.75, 1.0)


def test_crops_of_one_photo_widen_the_interval() -> None:
    values = torch.tensor([1.0] * 90 + [0.0] * 10)
    alone, by_photo = grouped_share(values, np.arange(100)), grouped_share(values, np.arange(100) // 10)
    assert alone.value == by_photo.value == pytest.approx(0.9)
    assert by_photo.high - by_photo.low > 1.5 * (alone.high - alone.low)


def test_as_many_answers_on_both_sides_or_an_error() -> None:
    with pytest.raises(InvalidInput, match="answers"):
        answer_quality(torch.zeros(2, 3), torch.zeros(3, 3), classes=True)
