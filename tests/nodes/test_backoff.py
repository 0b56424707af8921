"""How long to wait before trying again."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from nodes.backoff import Backoff
from nodes.replica_health import FIRST_RETRY_S, LONGEST_RETRY_S, LONGEST_WANTED_S, redial

EDGES = 2000


def test_the_longest_wait_doubles_up_to_the_most() -> None:
    backoff = Backoff(0.1, 0.4, Random(0))
    for whole_s in (0.1, 0.2, 0.4, 0.4, 0.4):
        assert whole_s / 10 <= backoff.next_s() <= whole_s


def test_success_starts_again_from_the_shortest_wait() -> None:
    backoff = Backoff(0.1, 10.0, Random(0))
    for _ in range(5):
        backoff.next_s()
    backoff.succeeded()
    assert backoff.next_s() <= 0.1


@given(seed=st.integers(), outage_s=st.floats(0.0, 120.0))
def test_an_edge_is_back_within_one_longest_wait_of_the_end_of_an_outage(seed: int, outage_s: float) -> None:
    assert attempts(seed, outage_s)[-1] <= outage_s + LONGEST_RETRY_S


@given(seed=st.integers(), outage_s=st.floats(0.0, 120.0))
def test_one_whose_requests_wait_is_back_within_seconds(seed: int, outage_s: float) -> None:
    assert attempts(seed, outage_s, wanted=True)[-1] <= outage_s + LONGEST_WANTED_S


def attempts(seed: int, outage_s: float, *, wanted: bool = False) -> list[float]:
    """When an edge dials that lost its replica at 0: until the first time that the replica is there again. wanted:
    requests wait for it all the time."""
    waits, now_s, times = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, Random(seed)), 0.0, list[float]()
    while not times or now_s < outage_s:
        dial = redial(waits)
        now_s += dial.wanted_s if wanted else dial.wait_s
        times.append(now_s)
    return times


def busiest_share(times: list[float], window_s: float) -> float:
    """The most dials within one window, of all edges."""
    return max(Counter(int(time_s / window_s) for time_s in times).values()) / EDGES


def test_a_fleet_that_lost_its_replica_in_one_moment_does_not_dial_in_one_moment() -> None:
    first = [attempts(seed, 0.0)[0] for seed in range(EDGES)]
    assert busiest_share(first, 0.05) < 0.1  # spread evenly it is 0.07; all at once it would be 1


def test_nor_does_it_when_a_long_outage_ends() -> None:
    back = [attempts(seed, 30.0)[-1] for seed in range(EDGES)]
    assert busiest_share(back, 0.05) < 0.03
    dials = [len(attempts(seed, 30.0)) for seed in range(EDGES)]
    assert sum(dials) / EDGES < 12  # and in vain they dial seldom


def test_nor_does_one_whose_requests_all_wait() -> None:
    first = [attempts(seed, 0.0, wanted=True)[0] for seed in range(EDGES)]
    assert busiest_share(first, 0.05) < 0.1
    back = [attempts(seed, 30.0, wanted=True)[-1] for seed in range(EDGES)]
    assert busiest_share(back, 0.05) < 0.1
    dials = [len(attempts(seed, 30.0, wanted=True)) for seed in range(EDGES)]
    assert sum(dials) / EDGES < 32  # about one a second
