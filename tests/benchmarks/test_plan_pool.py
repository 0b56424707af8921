"""The pool of plans that the published comparisons take the best of."""

from __future__ import annotations

import pytest

from benchmarks.plan_pool import busiest_s, plan_pool
from partitioner.condition import Condition, CostVector
from partitioner.cost_model import Costing
from partitioner.link import Link
from partitioner.profiles import DeviceProfile
from tests.partitioner.planning.conftest import PlainModel

CONDITION = Condition(Link(8e6, 8e6, 0.0), 2.0, 3.0)


@pytest.mark.parametrize(
    ("costs", "seconds"),
    [
        (CostVector(1.0, 1e6, 1e6, 0.5), 2.0),
        (CostVector(0.1, 4e6, 1e6, 0.5), 4.0),
        (CostVector(0.1, 1e6, 5e6, 0.5), 5.0),
        (CostVector(0.1, 1e6, 1e6, 2.0), 6.0),
    ],
)
def test_the_slowest_stage_is_the_busiest(costs: CostVector, seconds: float) -> None:
    assert busiest_s(costs, CONDITION) == pytest.approx(seconds)


def test_the_pool_holds_every_kind_and_no_linear_cut_beats_the_frontier(model: PlainModel, edge: DeviceProfile) -> None:
    pool = plan_pool(model, edge, Costing("bytes"))
    frontier_ends = len(pool.plans) - (1 + 3 * 5 + 2 * 5)  # file, then each of 5 codecs at each of 5 cuts
    quickest = pool.quickest(CONDITION).costs.seconds(CONDITION)
    assert {pool.kind(plan) for plan in pool.plans} == {"edge-only", "split", "cloud-only"}
    assert quickest == min(plan.costs.seconds(CONDITION) for plan in pool.plans[:frontier_ends])
