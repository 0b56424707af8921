"""How far costs are from what requests take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.chooser import StageTimes
from partitioner.measurements import AffineTime
from partitioner.plan_table import Correction, PlanEntry
from scheduler.estimators.drift import DriftEstimator
from scheduler.policies.corrected import Corrections
from tests.scheduler.conftest import make_entry

Maker = Callable[..., PlanEntry]


def took(entry: PlanEntry, edge: float = 1.0, cloud: float = 1.0, size: float = 1.0) -> StageTimes:
    costs = entry.costs
    size_bytes = round(entry.uplink_bytes(1) * size)
    return StageTimes(entry, 1, 0, costs.edge.at(1) * edge, costs.cloud.at(1) * cloud, size_bytes)


def correction(estimator: DriftEstimator, entry: PlanEntry) -> Correction:
    return Corrections.learned({"it": 0}, estimator.factors((entry.plan.plan_id,)))["it"]


@pytest.fixture
def split(entry: Maker) -> PlanEntry:
    return entry("blocks.4", edge_s=0.03, size=40_000, cloud_s=0.005)


def test_a_plan_never_seen_is_as_it_says(split: PlanEntry) -> None:
    assert correction(DriftEstimator(), split) == Correction()


@given(st.floats(0.3, 3.5), st.floats(0.5, 3.5), st.floats(0.3, 3.5))
def test_a_constant_drift_is_learned_stage_by_stage(edge: float, cloud: float, size: float) -> None:
    split = make_split()
    estimator = DriftEstimator()
    for _ in range(30):
        estimator.observe(took(split, edge, cloud, size))
    learned = correction(estimator, split)
    assert learned.edge == pytest.approx(edge, rel=0.03)
    assert learned.cloud == pytest.approx(cloud, rel=0.03)
    assert learned.uplink_bytes == pytest.approx(size, rel=0.25)


def test_a_change_is_followed_within_a_few_requests(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    for _ in range(20):
        estimator.observe(took(split))
    for _ in range(6):
        estimator.observe(took(split, edge=2.0))
    assert 1.7 < correction(estimator, split).edge <= 2.0


def test_a_plan_not_tried_yet_leans_on_the_others_but_not_on_their_sizes(entry: Maker, split: PlanEntry) -> None:
    estimator = DriftEstimator()
    for _ in range(10):
        estimator.observe(took(split, edge=1.5, cloud=1.3, size=2.0))
    other = correction(estimator, entry("blocks.9", edge_s=0.05, size=9_000, cloud_s=0.01))
    assert other.edge == pytest.approx(1.5, rel=0.1)
    assert other.cloud == pytest.approx(1.3, rel=0.1)
    assert other.uplink_bytes == 1.0


def test_an_edge_that_finished_alone_teaches_the_edge_only(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    estimator.observe(StageTimes(split, 1, 0, 0.06, None, None))
    learned = correction(estimator, split)
    assert learned.edge > 1.3
    assert (learned.cloud, learned.uplink_bytes) == (1.0, 1.0)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, 0.0, 1e-5])
def test_what_makes_no_sense_is_ignored(split: PlanEntry, seconds: float) -> None:
    estimator = DriftEstimator()
    estimator.observe(StageTimes(split, 1, 0, seconds, seconds, 0))
    assert correction(estimator, split) == Correction()


def test_one_request_counts_as_four_times_off_at_most(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    estimator.observe(took(split, cloud=1e6))
    assert correction(estimator, split).cloud <= 4.0


@pytest.mark.parametrize("off", [20.0, 0.05])
def test_a_plan_that_is_further_off_is_learned_and_does_not_drag_the_others_along(
    entry: Maker, split: PlanEntry, off: float
) -> None:
    """As one is whose costs were measured beside a compiler."""
    estimator, other = DriftEstimator(), entry("blocks.9", edge_s=0.05, size=10_000, cloud_s=0.9)
    slow = entry("blocks.5", edge_s=0.03, size=40_000, cloud_s=0.9)
    for _ in range(12):
        estimator.observe(took(slow, cloud=off))
    assert correction(estimator, slow).cloud == pytest.approx(off, rel=0.05)
    assert 1 / 4 <= correction(estimator, other).cloud <= 4.0


def test_what_the_others_do_is_forgotten_as_requests_of_its_own_come(entry: Maker, split: PlanEntry) -> None:
    estimator, other = DriftEstimator(), entry("blocks.9", edge_s=0.05, size=10_000, cloud_s=0.003)
    for _ in range(30):
        estimator.observe(took(other))
        estimator.observe(took(split, edge=2.0))
    assert correction(estimator, split).edge == pytest.approx(2.0, rel=0.01)
    assert correction(estimator, other).edge == pytest.approx(1.0, rel=0.01)


def test_what_a_request_takes_besides_its_stages_is_learned(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    for _ in range(20):
        estimator.observe(took(split)._replace(besides_s=0.0012))
    assert correction(estimator, split).overhead_s == pytest.approx(0.0012, rel=0.01)


def test_a_stage_too_short_for_a_factor_counts_among_the_rest(entry: Maker) -> None:
    small = entry("input", edge_s=0.0002, size=9_000, cloud_s=0.01)
    estimator = DriftEstimator()
    for _ in range(20):
        estimator.observe(took(small, edge=5.0)._replace(besides_s=0.0004))
    learned = correction(estimator, small)
    assert learned.edge == 1.0
    assert learned.overhead_s == pytest.approx(0.0012, rel=0.01)


def test_a_stage_that_is_not_as_short_as_it_was_said_is_learned_beside_other_requests(
    entry: Maker, split: PlanEntry
) -> None:
    """What waits take hides its seconds there. Others do not lean on it; short again, it is believed to be."""
    short = entry("blocks.5", edge_s=0.0005, size=40_000, cloud_s=0.005)
    estimator = DriftEstimator()
    for _ in range(30):
        estimator.observe(StageTimes(short, 1, 0, 0.03, 0.005, 40_000))
    assert correction(estimator, short).edge == pytest.approx(60.0, rel=0.05)
    assert correction(estimator, short).finish == 1.0
    assert correction(estimator, split).edge == 1.0
    for _ in range(30):  # and seconds are not counted twice
        estimator.observe(StageTimes(short, 1, 0, 0.03, 0.005, 40_000, 0.001))
    assert correction(estimator, short).overhead_s == pytest.approx(0.001, rel=0.01)
    for _ in range(30):
        estimator.observe(StageTimes(short, 1, 0, 0.0005, 0.005, 40_000))
    assert correction(estimator, short).edge == pytest.approx(1.0, rel=0.05)


def test_what_finishing_takes_goes_by_the_edge_s_stage_and_by_the_device_where_that_is_short(
    entry: Maker, split: PlanEntry
) -> None:
    short = entry("blocks.5", edge_s=0.0005, size=40_000, cloud_s=0.0005)
    estimator = DriftEstimator()
    for _ in range(30):
        estimator.observe(took(split, edge=3.0))
        estimator.observe(StageTimes(short, 1, 0, 0.03, 0.03, 40_000))
    known = correction(estimator, short)
    assert (known.edge, known.cloud) == pytest.approx((60.0, 60.0), rel=0.05)
    assert known.finish == pytest.approx(3.0, rel=0.05)
    assert correction(estimator, split).finish == correction(estimator, split).edge == pytest.approx(3.0, rel=0.05)
    costs = replace(short.costs, edge=AffineTime(0.0, 0.0005))  # of eight items it is not as short
    for _ in range(30):
        estimator.observe(StageTimes(replace(short, costs=costs), 8, 0, 0.0044, 0.03, 40_000))
    known = correction(estimator, short)
    assert (known.edge, known.finish) == pytest.approx((1.1, 1.1), rel=0.05)
    estimator.forget_edge((short.plan.plan_id, split.plan.plan_id))
    assert (correction(estimator, short).edge, correction(estimator, short).finish) == (1.0, 1.0)


def test_what_is_noise_of_a_short_stage_teaches_nothing_beside_other_requests(entry: Maker) -> None:
    short = entry("blocks.5", edge_s=0.0005, size=40_000, cloud_s=0.005)
    estimator = DriftEstimator()
    for _ in range(30):
        estimator.observe(StageTimes(short, 1, 0, 0.003, 0.005, 40_000))
    assert correction(estimator, short).edge == 1.0


def test_a_plan_not_tried_yet_takes_besides_what_the_others_do(entry: Maker, split: PlanEntry) -> None:
    estimator = DriftEstimator()
    estimator.observe(took(split)._replace(besides_s=0.001))
    assert correction(estimator, entry(edge_s=0.1)).overhead_s == pytest.approx(0.001)


def test_a_request_that_was_not_alone_teaches_nothing_of_the_rest(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    estimator.observe(took(split))
    assert correction(estimator, split).overhead_s == 0.0


@given(st.lists(st.floats(), max_size=20))
def test_the_rest_is_a_duration_whatever_was_seen(seen: list[float]) -> None:
    split, estimator = make_split(), DriftEstimator()
    for seconds in seen:
        estimator.observe(took(split)._replace(besides_s=seconds))
    assert 0.0 <= correction(estimator, split).overhead_s < math.inf


def test_one_long_wait_moves_the_rest_by_no_more_than_four_times(split: PlanEntry) -> None:
    estimator = DriftEstimator()
    for seconds in (0.001, 0.001, 0.001, 5.0):
        estimator.observe(took(split)._replace(besides_s=seconds))
    assert correction(estimator, split).overhead_s < 0.004


def test_fresh_costs_of_the_edge_are_believed_at_once(entry: Maker, split: PlanEntry) -> None:
    estimator, other = DriftEstimator(), entry("blocks.9", edge_s=0.05, size=9_000, cloud_s=0.01)
    for _ in range(10):
        estimator.observe(took(split, edge=2.0, cloud=1.5))
    estimator.forget_edge((split.plan.plan_id,))
    learned = correction(estimator, split)
    assert learned.edge == correction(estimator, other).edge == 1.0
    assert learned.cloud == pytest.approx(1.5, rel=0.05)


def make_split() -> PlanEntry:
    return make_entry("blocks.4", edge_s=0.03, size=40_000, cloud_s=0.02)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.5, 2.0), st.floats(0.0, 0.01)), max_size=20))
def test_plans_asked_of_together_are_as_each_alone(seen: list[tuple[int, float, float]]) -> None:
    entries = [make_entry(f"blocks.{number}", edge_s=0.03, size=40_000, cloud_s=0.02) for number in range(5)]
    estimator, ids = DriftEstimator(), tuple(entry.plan.plan_id for entry in entries)
    for number, factor, besides_s in seen:
        estimator.factors(ids)  # as between any two requests
        estimator.observe(took(entries[number], factor, factor, factor)._replace(besides_s=besides_s))
    together, alone = estimator.factors(ids), [estimator.factors((plan_id,))[0] for plan_id in ids]
    assert together == pytest.approx(np.array(alone), rel=1e-12)
