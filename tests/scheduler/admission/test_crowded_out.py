"""For whom others leave room, and for how long."""

from __future__ import annotations

import itertools
import math

import pytest

from scheduler.admission.crowded_out import CrowdedOut
from scheduler.admission.fair_queue import Waiting

NUMBERS = itertools.count(1)


def of(client: str, priority: int = 0, cost_s: float = 0.1) -> Waiting:
    return Waiting(next(NUMBERS), client, priority, math.inf, cost_s)


def greedy(count: int = 3) -> list[Waiting]:
    return [of("greedy") for _ in range(count)]


def test_who_holds_more_leaves_room_for_who_was_kept_out_and_nobody_did_before() -> None:
    crowded = CrowdedOut()
    assert not crowded.claim_room(of("greedy"), greedy(), 0.0)
    crowded.add(of("modest"), greedy(), 0.0)
    assert crowded.claim_room(of("greedy"), greedy(), 1.0)


def test_who_holds_no_more_leaves_none() -> None:
    crowded = CrowdedOut()
    crowded.add(of("modest"), greedy(), 0.0)
    assert not crowded.claim_room(of("modest"), greedy(), 1.0)
    assert not crowded.claim_room(of("other"), greedy(), 1.0)
    assert not crowded.claim_room(of("greedy"), [*greedy(2), of("modest"), of("modest")], 1.0)


@pytest.mark.parametrize("client", ["a", "b"])
def test_a_later_priority_leaves_room_for_an_earlier_one_whosever_it_is_and_however_little_it_holds(
    client: str,
) -> None:
    crowded = CrowdedOut()
    crowded.add(of("a", 1), [of("b", 2)], 0.0)
    assert crowded.claim_room(of(client, 2), [], 1.0)
    assert crowded.claim_room(of(client, 0), [], 1.0)
    assert not crowded.claim_room(of("b", 1), [], 1.0)


def test_none_is_left_for_who_was_kept_out_by_its_own_or_by_equals() -> None:
    crowded = CrowdedOut()
    crowded.add(of("greedy"), greedy(), 0.0)
    crowded.add(of("a"), [of("b"), of("c")], 0.0)
    crowded.add(of("a", 2), [of("b", 1)], 0.0)
    assert not crowded.claim_room(of("b", 0), [of("b", 0), of("b", 0)], 0.0)


def test_who_holds_as_much_in_another_order_holds_no_more() -> None:
    crowded, costs = CrowdedOut(), (0.3, 0.2, 0.1)
    mine, theirs = [of("a", cost_s=one) for one in costs], [of("b", cost_s=one) for one in reversed(costs)]
    crowded.add(mine[0], [*mine[1:], *theirs], 0.0)  # 0.6 s, and by rounding a little more
    assert not crowded.claim_room(of("greedy"), greedy(), 0.0)
    crowded.add(mine[0], greedy(9), 0.0)
    assert not crowded.claim_room(of("b"), [*mine, *theirs], 0.0)


def test_it_is_forgotten_after_a_minute_in_which_it_was_not_kept_out_again() -> None:
    crowded = CrowdedOut()
    crowded.add(of("modest"), greedy(), 0.0)
    crowded.add(of("other"), greedy(), 30.0)
    crowded.add(of("modest"), greedy(), 50.0)
    others = [of("modest"), of("modest")]
    assert crowded.claim_room(of("modest"), others, 89.0)
    assert not crowded.claim_room(of("modest"), others, 91.0)  # the other one is forgotten
    assert crowded.claim_room(of("greedy"), greedy(), 109.0)
    assert not crowded.claim_room(of("greedy"), greedy(), 111.0)


def test_of_many_names_the_latest_are_kept_in_mind() -> None:
    crowded = CrowdedOut()
    crowded.add(of("a", 1), [of("b", 2)], 0.0)
    for number in range(63):
        crowded.add(of(f"client {number}"), greedy(), 0.0)
    assert crowded.claim_room(of("b", 2), [], 0.0)
    crowded.add(of("one too many"), greedy(), 0.0)
    assert not crowded.claim_room(of("b", 2), [], 0.0)
    assert crowded.claim_room(of("greedy"), greedy(), 0.0)
