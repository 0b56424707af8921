"""A bound on the bytes that a node keeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import Overloaded, TooLarge
from nodes.byte_budget import ByteBudget


def test_what_does_not_fit_is_refused_by_name_and_says_when_to_come_back() -> None:
    budget = ByteBudget(100, "edge.kept_memory")
    budget.reserve(60, 1.0)
    with pytest.raises(Overloaded, match=r"edge\.kept_memory: 60 of 100 bytes") as refused:
        budget.reserve(41, 0.5)
    assert refused.value.retry_after_s == 0.5


def test_what_never_fits_is_refused_for_good() -> None:
    budget = ByteBudget(100, "edge.kept_memory")
    words = r"edge\.kept_memory: what one request keeps may take 100 bytes \(got 101\); send less, or raise"
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
