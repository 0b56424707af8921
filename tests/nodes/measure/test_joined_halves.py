"""Which halves of plans may run as one for several requests."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nodes.measure.joined_halves import JoinedHalves
from nodes.plan_shapes import cut_plan
from partitioner.front_end import model_from_module
from partitioner.model import Model
from tests.nodes.sites import small_model


class Mixing(nn.Module):
    """Subtracts the mean of the batch between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        made = self.first(x)
        answer: Tensor = self.second((made - made.mean(0, keepdim=True)).relu())
        return answer


class Likeness(nn.Module):
    """Compares every item with every other: the batch is in two dimensions of what crosses."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        made = self.first(x)
        return torch.mm(made, made.t()).relu().mean(1, keepdim=True)


def exported(module: nn.Module) -> Model:
    torch.manual_seed(0)
    return model_from_module(module.eval(), (torch.randn(2, 6),), "net")


def joins(model: Model, ops: int) -> tuple[bool, bool]:
    """Of the prefix of so many ops, and of its suffix."""
    plan, halves = cut_plan(model, tuple(op.name for op in model.graph.ops[:ops]), {}), JoinedHalves(model)
    return halves.joins(plan, "prefix"), halves.joins(plan, "suffix")


def place_of(model: Model, kind: str) -> int:
    """How many ops come before the first of that kind."""
    return next(place for place, op in enumerate(model.graph.ops) if kind in op.kind)


def test_halves_of_a_model_that_treats_items_apart_are_joined() -> None:
    assert joins(small_model(), 1) == (True, True)


def test_the_half_in_which_items_mix_is_not_joined_and_the_other_is() -> None:
    model = exported(Mixing())
    assert joins(model, place_of(model, "mean")) == (True, False)
    assert joins(model, place_of(model, "relu")) == (False, True)
    assert joins(model, 0)[1] is False


def test_halves_whose_tensors_have_the_batch_in_two_dimensions_are_not_joined() -> None:
    model = exported(Likeness())
    assert joins(model, place_of(model, "relu")) == (False, False)


@pytest.mark.parametrize(("most", "joined"), [(1, False), (2, True)])
def test_a_model_that_takes_one_item_at_a_time_is_not_joined(most: int, joined: bool) -> None:
    model = small_model()
    few = replace(model, interface=replace(model.interface, max_batch=most))  # type: ignore[type-var]
    assert joins(few, 1) == (joined, joined)
