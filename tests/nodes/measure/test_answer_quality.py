"""What is said of two sets of answers, and how sure that is."""

from __future__ import annotations

import math

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


@pytest.mark.parametrize(("sources", "low"), [(1, 0.2065), (2, 0.3424), (4, 0.5101), (30, 0.8865), (1000, 0.9962)])
def test_items_that_all_agree_leave_room_for_sources_that_do_not(sources: int, low: float) -> None:
    """The ends of the score interval: n / (n + 1.96 ** 2) to 1, and 0 to what is left of it."""
    groups = np.arange(8 * sources) // 8
    found = grouped_share(torch.ones(8 * sources, dtype=torch.bool), groups)
    assert [found.value, found.low, found.high] == pytest.approx([1.0, low, 1.0], abs=1e-4)
    never = grouped_share(torch.zeros(8 * sources, dtype=torch.bool), groups)
    assert [never.value, never.low, never.high] == pytest.approx([0.0, 0.0, 1 - low], abs=1e-4)


def test_the_score_interval_holds_as_often_as_it_says() -> None:
    """Of 20 sources with shares of 0.97 that agree or do not as a whole: how often the interval holds the share."""
    draws = np.random.default_rng(0).random((400, 20)) < 0.97
    found = [grouped_share(torch.from_numpy(drawn), np.arange(20)) for drawn in draws]
    agreeing = [one for one in found if one.value == 1.0]
    assert len(agreeing) > 150
    assert all(one.low <= 0.97 <= one.high for one in agreeing)


def test_one_source_says_little_of_others_whatever_its_items_say() -> None:
    values = torch.tensor([True, True, True, False])
    found = grouped_share(values, np.zeros(4, np.int64))
    assert found.value == 0.75
    assert [found.low, found.high] == pytest.approx([0.118, 0.986], abs=1e-3)


def test_sources_that_differ_are_resampled_as_ever() -> None:
    values = torch.tensor([True] * 19 + [False])
    found = grouped_share(values, np.arange(20))
    assert [found.value, found.low, found.high] == pytest.approx([0.95, 0.85, 1.0])


def test_other_numbers_of_one_source_may_be_anything_of_others() -> None:
    whole = torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    found = answer_quality(whole, whole + 0.1, classes=True, groups=[7, 7])
    assert found.divergence is not None
    assert (found.cosine.low, found.cosine.high) == (-1.0, 1.0)
    assert (found.divergence.low, found.divergence.high) == (0.0, math.inf)
    two = answer_quality(whole, whole + 0.1, classes=True)
    assert 0.9 < two.cosine.low < two.cosine.value < two.cosine.high <= 1.0


def test_as_many_answers_on_both_sides_or_an_error() -> None:
    with pytest.raises(InvalidInput, match="answers"):
        answer_quality(torch.zeros(2, 3), torch.zeros(3, 3), classes=True)


def test_answers_of_one_number_are_judged_by_closeness() -> None:
    whole, other = torch.tensor([[0.1], [0.9], [0.5]]), torch.tensor([[0.1], [0.9], [0.9]])
    for truth in (None, torch.tensor([0, 1, 1])):
        found = answer_quality(whole, other, classes=truth is not None, truth=truth)
        assert found.metric == "closeness"
        assert found.cosine.value == pytest.approx(1.0)
        assert found.agreement.value == pytest.approx(1 - 0.5 / 3)
        assert found.top1_agreement is None


def test_of_masked_classes_everything_is_a_number() -> None:
    whole = torch.tensor([[1.0, 2.0, -math.inf], [3.0, 1.0, -math.inf]])
    found = answer_quality(whole, whole + torch.tensor([0.5, 0.0, 0.0]), classes=True)
    assert found.divergence is not None
    assert 0 < found.divergence.value < 0.1
    assert found.agreement.value == 1.0
    assert found.max_abs == 0.5
    assert 0.9 < found.cosine.value < 1.0


def test_answers_that_become_infinite_are_infinitely_far_and_no_nan() -> None:
    whole, other = torch.tensor([[1.0, 2.0], [2.0, 1.0]]), torch.tensor([[1.0, 2.0], [-math.inf, math.nan]])
    found = answer_quality(whole, other, classes=True)
    assert found.divergence is not None
    for share in (found.divergence, found.cosine, found.agreement):
        assert not any(math.isnan(number) for number in (share.value, share.low, share.high))
    assert found.divergence.value == found.divergence.high == found.max_abs == math.inf
    assert found.agreement.value == found.cosine.value == 0.5
