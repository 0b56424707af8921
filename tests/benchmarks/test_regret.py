"""The regret benchmark judges right: its oracle is beaten by nobody, its step is found, a herd is seen."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks import herd
from benchmarks.regret import Oracle, arrivals, blocks_ratio, cases, mean_s, requests_until_right, served
from scheduler.plan_chooser import PlanChooser


def test_arrivals_come_at_their_rate_and_in_bursts() -> None:
    steady = arrivals(1000.0, 1)
    assert len(steady) == pytest.approx(800, rel=0.1)
    assert all(earlier.time_s < later.time_s for earlier, later in pairwise(steady))
    bursts = arrivals(1000.0, 1, bursts=True)
    in_bursts = [one for one in bursts if one.time_s % 60 < 8]
    assert len(in_bursts) == pytest.approx(1000 * 8 / 60 * 2.5, rel=0.15)


def test_the_oracle_is_quicker_than_any_plan_held_fixed() -> None:
    case = next(case for case in cases(True, 0) if case.name.startswith("norway3g"))
    oracle = mean_s(served(case, Oracle()))
    for entry in case.facts.table.for_form("bytes"):
        fixed = served(case, PlanChooser(f"fixed:{entry.plan.plan_id}"))
        assert len(fixed) == len(case.arrivals)
        assert oracle <= mean_s(fixed) * 1.001


def test_the_live_chooser_finds_the_right_plan_after_a_step_and_edge_only_does_not() -> None:
    case = next(case for case in cases(True, 0) if case.steps_s)
    oracle, ours = served(case, Oracle()), served(case, PlanChooser())
    unmoved = served(case, PlanChooser("edge-only"))
    assert max(requests_until_right(case, ours, oracle)) <= 5 < max(requests_until_right(case, unmoved, oracle))
    assert blocks_ratio(ours, oracle, 0).value < 1.2


def test_a_herd_is_told_from_choices_that_spread() -> None:
    ours = herd.run(40, 40.0, lambda number: PlanChooser(seed=number, explore_share=0.0), 0)
    chased = herd.run(40, 40.0, lambda number: herd.LeastBusy(seed=number, explore_share=0.0), 0)
    assert max(chased.variances()) > 4 * max(ours.variances())


def test_the_variance_of_a_queue_that_is_drawn_for_at_random_is_that_of_theory() -> None:
    class Anybody(PlanChooser):
        def choose_replica(self, count: int, finish_s: object) -> int:
            return int(self._replica_rng.random() * count)

    queues = herd.run(40, 300.0, lambda number: Anybody(seed=number, explore_share=0.0), 0)
    seen = sum(queues.variances()) / len(queues.variances())
    assert seen == pytest.approx(herd.random_variance(queues.load), rel=0.35)
