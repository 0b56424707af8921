"""A split is chosen only where measurements can tell that it wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidInput
from partitioner.condition import Condition, CostVector
from partitioner.link import Link
from partitioner.measured_plan import MeasuredPlan
from partitioner.plan import Plan, TensorCodec
from partitioner.steady_choice import steady_choice

CONDITION = Condition(Link(1e6, 1e6, 0.0))
OPS = {"edge-only": ("a", "b"), "split": ("a",), "cloud-only": ()}


def _plan(kind: str, seconds: float, spread_s: float = 0.0) -> MeasuredPlan:
    boundary = () if kind == "edge-only" else (TensorCodec("t", "raw"),)
    plan = Plan("m", "d", "tensor", OPS[kind], boundary, (), ())
    return MeasuredPlan(plan, CostVector(seconds, 0.0, 0.0, 0.0), spread_s, 0.0)


def _chosen(*plans: MeasuredPlan) -> str:
    return steady_choice(plans, CONDITION).plan.kind


def test_a_split_that_wins_clearly_is_taken() -> None:
    assert _chosen(_plan("edge-only", 1.0, 0.03), _plan("split", 0.94, 0.04)) == "split"


def test_a_split_that_wins_within_the_spreads_is_not() -> None:
    assert _chosen(_plan("edge-only", 1.0, 0.03), _plan("split", 0.96, 0.04)) == "edge-only"


def test_the_load_of_the_edge_widens_the_doubt() -> None:
    plans = (_plan("cloud-only", 1.0), _plan("split", 0.099, 0.01))
    assert steady_choice(plans, CONDITION).plan.kind == "split"
    assert steady_choice(plans, Condition(CONDITION.link, 10.0)).plan.kind == "split"
    wide = (MeasuredPlan(plans[0].plan, CostVector(0.0, 0.0, 0.0, 1.0), 0.0, 0.0), plans[1])
    assert steady_choice(wide, Condition(CONDITION.link, 10.0)).plan.kind == "cloud-only"


def test_among_unsplit_plans_the_quickest_is_taken_whatever_the_spreads() -> None:
    assert _chosen(_plan("edge-only", 1.0, 0.5), _plan("cloud-only", 0.99, 0.5)) == "cloud-only"


def test_with_splits_alone_the_quickest_of_them_is_taken() -> None:
    assert _chosen(_plan("split", 1.0, 0.5)) == "split"


def test_without_plans_there_is_no_choice() -> None:
    with pytest.raises(InvalidInput, match="plans"):
        steady_choice((), CONDITION)


measured = st.builds(_plan, st.sampled_from(sorted(OPS)), st.floats(0.01, 1.0), st.floats(0.0, 0.1))


@given(st.lists(measured, min_size=1, max_size=8))
def test_the_choice_is_never_slower_than_not_splitting_nor_far_from_the_quickest(plans: list[MeasuredPlan]) -> None:
    chosen = steady_choice(plans, CONDITION)
    unsplit = [plan.total_s(CONDITION) for plan in plans if plan.plan.kind != "split"]
    quickest = min(plans, key=lambda plan: plan.total_s(CONDITION))
    assert chosen.total_s(CONDITION) <= min(unsplit, default=1.0)
    doubt_s = chosen.spread_s(CONDITION) + quickest.spread_s(CONDITION)
    assert chosen.total_s(CONDITION) <= quickest.total_s(CONDITION) + doubt_s + 1e-12
