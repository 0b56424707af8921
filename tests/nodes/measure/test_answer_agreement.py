"""What answers are judged by, and that it can be said of any answers."""

from __future__ import annotations

import math

import pytest
import torch

from nodes.measure.answer_agreement import agreement, largest_difference, metric_for
from partitioner.plan_table import Metric

METRICS: tuple[Metric, ...] = ("top1_agreement", "cosine", "closeness")


def test_what_answers_are_judged_by_hangs_on_what_they_hold() -> None:
    assert metric_for(torch.zeros(3, 4), classes=True) == "top1_agreement"
    assert metric_for(torch.zeros(3, 4), classes=False) == "cosine"
    for one_number in (torch.zeros(3, 1), torch.zeros(3), torch.zeros(3, 1, 1)):
        assert metric_for(one_number, classes=True) == metric_for(one_number, classes=False) == "closeness"


def test_closeness_is_what_the_difference_leaves_of_the_spread() -> None:
    whole = torch.tensor([[0.0], [0.5], [1.0]])
    other = torch.tensor([[0.0], [0.75], [-1.0]])
    assert agreement("closeness", whole, other).tolist() == pytest.approx([1.0, 0.75, 0.0])
    assert agreement("closeness", 8 * whole[:, 0], 8 * other[:, 0]).tolist() == pytest.approx([1.0, 0.75, 0.0])


def test_answers_whose_spread_is_noise_are_close_by_a_hundredth_of_their_size() -> None:
    assert agreement("closeness", torch.tensor([[4.0]]), torch.tensor([[3.99]])).tolist() == pytest.approx(
        [0.75], rel=1e-3
    )
    saturated = torch.tensor([[1.0], [1.0 - 2e-5]])
    assert min(agreement("closeness", saturated, saturated - 1e-6).tolist()) > 0.999
    assert agreement("closeness", torch.zeros(2, 1), torch.tensor([[0.0], [1e-9]])).tolist() == [1.0, 0.0]


def test_what_is_masked_is_no_answer_to_measure_a_spread_by() -> None:
    whole = torch.tensor([[-math.inf], [100.0], [101.0]])
    other = torch.tensor([[-math.inf], [100.5], [101.0]])
    assert agreement("closeness", whole, other).tolist() == pytest.approx([1.0, 1 - 0.5 / 1.01, 1.0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("number", [0.0, math.inf, -math.inf, math.nan])
def test_equal_answers_agree_whatever_they_hold(metric: Metric, number: float) -> None:
    answers = torch.tensor([[number, number], [1.0, number]])
    assert agreement(metric, answers, answers.clone()).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_finite_on_one_side_only_does_not_agree(metric: Metric, number: float) -> None:
    whole, other = torch.tensor([[1.0, 2.0], [2.0, 3.0]]), torch.tensor([[1.0, 2.0], [2.0, 3.0]])
    other[0, 1] = number
    found = agreement(metric, whole, other)
    assert not found.isnan().any()
    assert found[1] == 1.0
    assert found[0] == 0.0 or (metric == "top1_agreement" and number == math.inf)


def test_a_class_that_both_sides_mask_says_nothing_of_the_others() -> None:
    whole = torch.tensor([[1.0, 2.0, -math.inf]])
    other = torch.tensor([[2.0, 1.0, -math.inf]])
    assert agreement("cosine", whole, other).tolist() == pytest.approx([0.8])
    assert agreement("top1_agreement", whole, other).tolist() == [0.0]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_no_difference_where_both_hold_it_and_infinite_where_one_does(number: float) -> None:
    whole, same, finite = torch.tensor([1.0, number]), torch.tensor([1.5, number]), torch.tensor([1.0, 2.0])
    assert largest_difference(whole, same) == 0.5
    assert largest_difference(whole, finite) == largest_difference(finite, whole) == math.inf
    other = math.inf if number != math.inf else -math.inf
    assert largest_difference(whole, torch.tensor([1.0, other])) == math.inf


@pytest.mark.parametrize("metric", ["top1_agreement", "cosine"])
def test_answers_that_hold_nothing_agree(metric: Metric) -> None:
    assert agreement(metric, torch.zeros(3, 0), torch.zeros(3, 0)).tolist() == [1.0, 1.0, 1.0]
    assert largest_difference(torch.zeros(3, 0), torch.zeros(3, 0)) == 0.0
