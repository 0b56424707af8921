"""When links and replicas are away."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.faults import Absences, Fault, PlannedFaults, RandomFaults

PLANNED = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.1, 20)).map(lambda one: Fault(one[0], one[0] + one[1])), max_size=8
)


@given(PLANNED, st.lists(st.floats(0, 150), min_size=1, max_size=10))
def test_planned_faults_are_away_exactly_when_one_of_them_lasts(faults: list[Fault], moments_s: list[float]) -> None:
    times = list(PlannedFaults(tuple(faults)).times(Random(0)))
    assert all(one.until_s < other.at_s for one, other in pairwise(times))
    away = Absences(iter(times))
    for moment_s in moments_s:
        found = away.next(moment_s)
        lasts = any(one.at_s <= moment_s < one.until_s for one in faults)
        assert (found is not None and found.at_s <= moment_s < found.until_s) == lasts
        later = [one.at_s for one in times if one.at_s > moment_s]
        if not lasts:
            assert (None if found is None else found.at_s) == (later[0] if later else None)


def test_random_faults_are_away_for_their_share_of_the_time() -> None:
    faults = list(islice(RandomFaults(every_s=90.0, lasts_s=10.0).times(Random(1)), 20_000))
    assert all(one.until_s <= other.at_s for one, other in pairwise(faults))
    away_s = sum(one.until_s - one.at_s for one in faults)
    assert away_s / faults[-1].until_s == pytest.approx(0.1, rel=0.05)


def test_equal_seeds_give_equal_faults() -> None:
    random = RandomFaults(every_s=5.0, lasts_s=1.0)
    one, same, other = (list(islice(random.times(Random(seed)), 20)) for seed in (3, 3, 4))
    assert one == same != other
