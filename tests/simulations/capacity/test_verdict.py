"""How a fleet is looked at."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from isthmus.errors import InvalidConfiguration
from simulations.answers.ratio import Counted
from simulations.answers.slo import Slo
from simulations.answers.stopping import side_of
from simulations.capacity.planner import CapacityPlanner
from simulations.capacity.verdict import judged, looks, window_count
from simulations.fleet import Fleet, FleetRun
from simulations.scenario.sweep import with_settings
from tests.simulations.capacity.conftest import Make


@given(st.integers(7, 200))
def test_each_look_sees_much_more_than_the_one_before_and_the_last_one_all(windows: int) -> None:
    found = looks(windows)
    assert (found[0], found[-1]) == (5, windows)
    # 1.7 times as much, roughly: a look that sees little more costs confidence and tells nothing.
    assert all(1.28 <= after / before <= 2.25 for before, after in pairwise(found))


def test_looks_of_a_long_run() -> None:
    assert looks(120) == [5, 8, 14, 24, 41, 70, 120]


@pytest.mark.parametrize("windows", [5, 6])
def test_a_run_that_holds_hardly_more_than_a_first_look_is_looked_at_once(windows: int) -> None:
    assert looks(windows) == [windows]


@pytest.mark.parametrize(
    ("within_s", "counted_s", "windows"),
    [(0.4, 25.0, 5), (0.4, 49.0, 9), (0.4, 50.0, 10), (0.4, 600.0, 120), (0.4, 3600.0, 120), (0.7, 35.0, 5)],
)
def test_windows_are_never_shorter_than_what_makes_them_independent(
    scenario_of: Make, within_s: float, counted_s: float, windows: int
) -> None:
    scenario = scenario_of(duration=5.0 + counted_s).scenario
    assert window_count(scenario, Slo(within_s, 0.9)) == windows
    assert counted_s / windows >= max(5.0, 10 * within_s) * (1 - 1e-9)


@pytest.mark.parametrize(("within_s", "least"), [(0.4, "30 s"), (2.0, "105 s")])
def test_a_run_that_is_too_short_for_them_is_refused_with_how_long_it_must_be(
    scenario_of: Make, within_s: float, least: str
) -> None:
    file = scenario_of(duration="29s", slo={"within": within_s, "share": 0.9})
    with pytest.raises(InvalidConfiguration, match=rf"duration: leaves 24 s to judge 5 windows.*set it to {least} at"):
        CapacityPlanner(file)


# ---- how sure a verdict is -----------------------------------------------------------------------------------------

TRIALS = 300
CLUMPED = 4.0  # requests in a promised time, all of which share what becomes of them


def taken_for_kept(truth: float, goal: float, windows: int, *, early: bool, of_ten: int = 10) -> float:
    """How often a fleet that keeps `truth` of its requests is taken for one that keeps more than `goal`. Whether the
    requests of a promised time are late follows an AR(1) process, whose neighbours are correlated by 0.37, as queues
    are. of_ten: promised times in a window."""
    random, length = np.random.default_rng(1), windows * of_ten
    rho, level = math.exp(-1.0), np.empty((TRIALS, length))
    level[:, 0] = random.normal(size=TRIALS)
    for step in range(1, length):
        level[:, step] = rho * level[:, step - 1] + math.sqrt(1 - rho * rho) * random.normal(size=TRIALS)
    came = random.poisson(CLUMPED, (TRIALS, length))
    kept = np.where(level < ndtri(truth), came, 0)
    counts = np.stack([one.reshape(TRIALS, windows, of_ten).sum(axis=2) for one in (kept, came)], axis=2)
    moments = looks(windows) if early else [windows]
    return float(np.mean([_is_taken(one.tolist(), moments, goal) for one in counts]))


def _is_taken(counts: list[list[int]], moments: list[int], goal: float) -> bool:
    windows = [Counted(*one) for one in counts]
    sides = (side_of(goal, windows[:count], len(moments), 0.95, last=count == len(windows)) for count in moments)
    return next((side for side in sides if side != "open"), "open") == "above"


def test_a_fleet_that_is_just_at_the_promise_is_seldom_taken_for_better_by_a_whole_run() -> None:
    """Five in a hundred were asked for."""
    assert taken_for_kept(0.9, 0.9, 120, early=False) <= 0.12


def test_early_looks_take_it_for_better_more_often_than_they_are_meant_to() -> None:
    """What whole runs are for: of few requests the late ones come together."""
    assert 0.08 <= taken_for_kept(0.9, 0.9, 120, early=True) <= 0.25
    assert taken_for_kept(0.98, 0.99, 120, early=True) <= 0.2


@pytest.mark.parametrize(("truth", "goal"), [(0.87, 0.9), (0.98, 0.99)])
def test_a_fleet_that_is_clearly_below_the_promise_is_not_taken_for_better_by_a_whole_run(
    truth: float, goal: float
) -> None:
    assert taken_for_kept(truth, goal, 120, early=False) <= 0.02


def test_windows_as_short_as_the_promise_would_be_far_too_sure() -> None:
    assert taken_for_kept(0.9, 0.9, 120, early=True, of_ten=1) > 0.3


@pytest.mark.parametrize("early", [True, False])
def test_too_near_to_tell_stands_beside_an_interval_that_holds_the_promise(scenario_of: Make, early: bool) -> None:
    """Three replicas answer two thirds of the requests within a quarter of a second."""
    file, sides = with_settings(scenario_of(), [("cloud.replicas", 3)]), set()
    for share in (0.56, 0.6, 0.64, 0.7, 0.74, 0.78):
        verdict = judged(Fleet(file.scenario, file.folder), Slo(0.25, share), 0.95, range(1), early=early)
        low, high = verdict.share.low, verdict.share.high
        assert low is not None
        assert high is not None
        assert verdict.side == ("above" if low > share else "below" if high < share else "open")
        sides.add(verdict.side)
    assert "open" in sides


def test_what_is_said_is_the_same_whether_or_not_a_run_is_recorded(scenario_of: Make) -> None:
    file, begun = with_settings(scenario_of(), [("cloud.replicas", 3)]), list[FleetRun]()
    fleet, slo = Fleet(file.scenario, file.folder), Slo(0.25, 0.9)
    unrecorded = judged(fleet, slo, 0.95, range(1), early=False)
    assert judged(fleet, slo, 0.95, range(1), early=False, begun=begun.append) == unrecorded
    (run,) = begun
    assert len(run.record().counted()) == unrecorded.requests
