"""When a request that only the cloud may finish leaves a replica that is late."""

from __future__ import annotations

import math

import pytest

from nodes.staying import LEAST_GRACE_S, Staying

LATE_S, LOOKS_S, EXPECTED_S = 10.0, 99.0, 0.4


def leaves_s(staying: Staying, now_s: float, *, able: bool) -> float:
    return staying.leaves_s(now_s, LATE_S, lambda: able, LOOKS_S)


def test_before_it_is_late_nobody_is_looked_for() -> None:
    def able() -> bool:
        raise AssertionError("nobody asks yet")

    assert Staying(EXPECTED_S, 1).leaves_s(9.9, LATE_S, able, LOOKS_S) == LATE_S


def test_what_is_late_goes_to_another_one_at_once() -> None:
    staying = Staying(EXPECTED_S, 1)
    assert leaves_s(staying, 10.1, able=True) == LATE_S
    assert not staying.stayed


def test_where_there_is_no_other_one_it_stays_and_looks_again() -> None:
    staying = Staying(EXPECTED_S, 1)
    assert leaves_s(staying, 10.1, able=False) == LOOKS_S
    assert staying.stayed


@pytest.mark.parametrize(("expected_s", "least_s"), [(EXPECTED_S, EXPECTED_S), (0.001, LEAST_GRACE_S)])
def test_for_one_that_is_able_later_it_leaves_after_as_long_as_an_answer_takes(
    expected_s: float, least_s: float
) -> None:
    staying = Staying(expected_s, 1)
    leaves_s(staying, 10.1, able=False)
    moment_s = leaves_s(staying, 12.0, able=True)
    assert 12.0 + least_s <= moment_s <= 12.0 + 2 * least_s
    assert leaves_s(staying, 12.1, able=True) == moment_s
    assert staying.stayed


def test_one_that_is_not_able_any_more_is_not_left_for() -> None:
    staying = Staying(EXPECTED_S, 1)
    leaves_s(staying, 10.1, able=False)
    first_s = leaves_s(staying, 12.0, able=True)
    assert leaves_s(staying, 12.1, able=False) == LOOKS_S
    assert leaves_s(staying, 13.0, able=True) == pytest.approx(first_s + 1.0)


def test_what_gets_on_after_all_is_not_late() -> None:
    staying = Staying(EXPECTED_S, 1)
    leaves_s(staying, 10.1, able=False)
    assert staying.leaves_s(10.2, 11.0, lambda: True, LOOKS_S) == 11.0
    assert staying.leaves_s(11.1, 11.0, lambda: True, LOOKS_S) == 11.0
    assert not staying.stayed


def test_many_requests_do_not_leave_in_one_moment() -> None:
    moments = list[float]()
    for number in range(100):
        staying = Staying(EXPECTED_S, number)
        leaves_s(staying, 10.1, able=False)
        moments.append(leaves_s(staying, 12.0, able=True))
    gaps = [after - before for before, after in zip(sorted(moments), sorted(moments)[1:], strict=False)]
    assert min(gaps) > EXPECTED_S / 300
    assert math.isclose(max(moments) - min(moments), EXPECTED_S, rel_tol=0.05)
