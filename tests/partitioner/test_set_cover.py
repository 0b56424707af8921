"""The fewest sets, against every choice of sets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from partitioner.set_cover import smallest_cover

_OWNERS = st.lists(st.frozensets(st.integers(0, 7), min_size=1), max_size=9)


@given(_OWNERS, st.frozensets(st.integers(0, 7), max_size=2))
def test_it_covers_and_no_fewer_do(owners: list[frozenset[int]], always: frozenset[int]) -> None:
    cover = smallest_cover(owners, always)
    choices = (always.union(some) for k in range(9) for some in itertools.combinations(range(8), k))
    least = min(len(some) for some in choices if not any(own.isdisjoint(some) for own in owners))
    assert not any(own.isdisjoint(cover.chosen) for own in owners)
    assert (len(cover.chosen), cover.is_fewest) == (least, True)


def test_what_is_always_there_counts() -> None:
    assert smallest_cover([frozenset({1, 2})], frozenset({2, 5})).chosen == {2, 5}
