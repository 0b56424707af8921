"""A bound on the bytes that a node keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import Overloaded, TooLarge
from nodes.byte_budget import ByteBudget, Share


def test_what_does_not_fit_is_refused_by_name_and_says_when_to_come_back() -> None:
    budget = ByteBudget(100, "edge.kept_memory")
    budget.reserve(60, 1.0)
    with pytest.raises(Overloaded, match=r"edge\.kept_memory: 60 of 100 bytes") as refused:
        budget.reserve(41, 0.5)
    assert refused.value.retry_after_s == 0.5


def test_what_never_fits_is_refused_for_good() -> None:
    budget = ByteBudget(100, "edge.kept_memory")
    words = r"edge\.kept_memory: what one request holds may take 100 bytes \(got 101\); send less, or raise"
    with pytest.raises(TooLarge, match=words):
        budget.reserve(101, 1.0)
    budget.reserve(100, 1.0)


def test_what_would_not_fit_by_itself_is_too_large_whatever_is_held() -> None:
    budget = ByteBudget(100, "cloud.limits.memory")
    budget.reserve(60, 1.0)
    budget.check_alone("one request", 100)
    with pytest.raises(TooLarge, match=r"cloud\.limits\.memory: one request may take 100 bytes \(got 101\)"):
        budget.check_alone("one request", 101)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 120)), max_size=40))
def test_what_turns_out_larger_or_smaller_counts_as_it_is_within_the_limit(sizes: list[tuple[int, int]]) -> None:
    budget, held = ByteBudget(100, "limit"), list[int]()
    for said, size in sizes:
        try:
            budget.reserve(said, 1.0)
        except Overloaded:
            continue
        try:
            budget.resize(said, size, 1.0)
        except (Overloaded, TooLarge):
            assert sum(held) + size > 100
            held.append(said)
        else:
            held.append(size)
        assert budget.held_bytes == sum(held) <= budget.peak_bytes <= 100


@given(st.lists(st.integers(0, 60), max_size=40))
def test_never_more_than_the_limit_is_held_and_all_comes_back(sizes: list[int]) -> None:
    budget, held = ByteBudget(100, "limit"), list[int]()
    for size in sizes:
        try:
            budget.reserve(size, 1.0)
        except Overloaded:
            assert sum(held) + size > 100
            if held:
                budget.release(held.pop())
        else:
            held.append(size)
        assert budget.held_bytes == sum(held) <= budget.peak_bytes <= 100
    for size in held:
        budget.release(size)
    assert budget.held_bytes == 0


def test_a_share_leaves_as_much_free_as_it_holds_and_says_what_it_is() -> None:
    budget = ByteBudget(100, "edge.limits.memory")
    share = Share(budget)
    share.take(30, 1.0)
    share.take(20, 1.0)
    with pytest.raises(Overloaded, match=r"edge\.limits\.memory: 50 of 100 bytes are held for this peer, 49 would be"):
        share.take(1, 0.5)
    Share(budget).take(50, 1.0)  # somebody else's first
    share.give_back(50)
    assert (share.held_bytes, budget.held_bytes) == (0, 50)


def test_the_first_thing_of_a_share_is_of_any_size_and_may_grow() -> None:
    budget = ByteBudget(100, "cloud.limits.memory")
    share = Share(budget)
    share.take(60, 1.0)
    share.take(40, 1.0, part_of_bytes=60)
    with pytest.raises(Overloaded, match="100 of 100 bytes are held"):
        Share(budget).take(1, 1.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 40), st.booleans()), max_size=60))
def test_shares_sum_to_what_is_held_and_each_leaves_as_much_free_or_has_one_thing(
    moves: list[tuple[int, int, bool]],
) -> None:
    budget = ByteBudget(100, "limit")
    shares, held = [Share(budget) for _ in range(5)], [list[int]() for _ in range(5)]
    for who, size, takes in moves:
        share, own = shares[who], held[who]
        if not takes:
            share.give_back(own.pop() if own else 0)
            continue
        before = share.held_bytes
        try:
            share.take(size, 1.0)
        except Overloaded:
            assert budget.held_bytes + size > 100 or (before > 0 and before + size > 100 - budget.held_bytes - size)
        else:
            own.append(size)
            assert before == 0 or share.held_bytes <= budget.free_bytes
        assert [one.held_bytes for one in shares] == [sum(sizes) for sizes in held]
        assert budget.held_bytes == sum(map(sum, held)) <= 100
