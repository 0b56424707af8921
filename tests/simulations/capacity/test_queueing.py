"""What queueing theory says of waiting, against values from tables and against each other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import InvalidQuantity
from simulations.capacity.queueing import (
    erlang_c,
    kingman_bound_s,
    lee_longton_s,
    pollaczek_khinchine_s,
    queue_theory,
)


@pytest.mark.parametrize(("offered", "servers", "waits"), [(0.5, 1, 0.5), (2.0, 3, 4 / 9), (8.0, 10, 0.4092)])
def test_the_chance_of_waiting_is_erlangs(offered: float, servers: int, waits: float) -> None:
    assert erlang_c(offered, servers) == pytest.approx(waits, rel=1e-3)


def test_one_server_is_pollaczek_and_khinchines() -> None:
    # M/D/1 at a load of a half waits half a service time: a quarter of the two that M/M/1's whole stay takes, less one.
    assert pollaczek_khinchine_s(5.0, 0.1, 0.0) == pytest.approx(0.05)
    assert pollaczek_khinchine_s(5.0, 0.1, 1.0) == pytest.approx(0.1)
    assert pollaczek_khinchine_s(5.0, 0.1, 2.0) == pytest.approx(0.25)


def test_queues_apart_have_their_part_of_the_requests() -> None:
    assert queue_theory(10.0, 0.05, 1.0, 2).apart_s == pytest.approx(1 / 60)  # a quarter of 50 ms over three quarters


def test_the_bound_is_kingmans() -> None:
    # At a load of a half 10 / s times (var A = 0.01, var S / 2 = 0.005, and 0.1 ** 2 / 4 = 0.0025).
    assert kingman_bound_s(10.0, 0.1, 1.0, 2) == pytest.approx(0.175)


@given(load=st.floats(0.01, 0.99), servers=st.integers(1, 200), variation=st.floats(0.0, 3.0))
def test_one_queue_waits_less_than_its_bound_and_than_queues_apart(load: float, servers: int, variation: float) -> None:
    found = queue_theory(load * servers / 0.05, 0.05, variation, servers)
    assert found.load == pytest.approx(load)
    assert 0.0 <= found.joint_s <= found.apart_s * (1 + 1e-9)
    markovian = queue_theory(load * servers / 0.05, 0.05, 1.0, servers)  # for which the approximation is exact
    assert markovian.joint_s <= markovian.bound_s * (1 + 1e-9)


def test_work_that_does_not_fit_waits_for_ever() -> None:
    found = queue_theory(30.0, 0.1, 1.0, 3)
    assert (found.joint_s, found.bound_s, found.apart_s) == (math.inf, math.inf, math.inf)


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(InvalidQuantity, match="service time"):
        kingman_bound_s(1.0, math.nan, 1.0, 2)
    with pytest.raises(InvalidQuantity, match="servers"):
        lee_longton_s(1.0, 1.0, 1.0, 0)
