"""Replicas that refuse a request, and when they may be asked again."""

from __future__ import annotations

import math

import pytest

from isthmus.errors import (
    ComputeFailed,
    InvalidRequest,
    IsthmusError,
    LocalProtocolError,
    Overloaded,
    PlanAway,
    TooLarge,
    Unavailable,
    UnknownPlan,
)
from nodes.refusals import FIRST_PAUSE_S, LONGEST_PAUSE_S, Refusals


@pytest.mark.parametrize(
    "error", [ComputeFailed("raised"), TooLarge("limit", "exceeded"), InvalidRequest("tensor", "is wrong")], ids=type
)
def test_what_a_replica_would_say_again_keeps_it_out_for_good(error: IsthmusError) -> None:
    refusals = Refusals[str]()
    refusals.refused("a", error, 0.0)
    assert refusals.out(1e9) == ("a",)
    assert refusals.back_s(0.0) == math.inf


@pytest.mark.parametrize("error", [Overloaded("full"), Unavailable("hangs")], ids=type)
def test_what_it_cannot_do_just_then_keeps_it_out_for_a_pause_that_grows(error: IsthmusError) -> None:
    refusals, now_s, pauses = Refusals[str](), 0.0, list[float]()
    for _ in range(50):
        refusals.refused("a", error, now_s)
        assert refusals.out(now_s) == ("a",)
        pauses.append(refusals.back_s(now_s) - now_s)
        now_s = refusals.back_s(now_s)
        assert refusals.out(now_s) == ()
        assert refusals.back_s(now_s) == math.inf
    assert 0 < pauses[0] <= FIRST_PAUSE_S
    assert FIRST_PAUSE_S < max(pauses) <= LONGEST_PAUSE_S


@pytest.mark.parametrize("error", [UnknownPlan("forgotten"), PlanAway("away")], ids=type)
def test_an_unknown_plan_needs_a_pause_only_from_the_second_time_on(error: IsthmusError) -> None:
    refusals = Refusals[str]()
    refusals.refused("a", error, 0.0)
    assert refusals.out(0.0) == ()
    refusals.refused("a", error, 1.0)
    assert refusals.out(1.0) == ("a",)
    assert 1.0 < refusals.back_s(1.0) <= 1.0 + FIRST_PAUSE_S


def test_each_replica_is_out_by_itself_and_one_that_was_not_asked_is_not() -> None:
    refusals = Refusals[str]()
    refusals.refused("a", Overloaded("full"), 0.0)
    refusals.refused("b", LocalProtocolError("another request's probe"), 0.0)
    assert refusals.out(0.0) == ("a",)
