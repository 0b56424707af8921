"""What an engine keeps of the slices that it was asked for."""

from __future__ import annotations

import weakref

from nodes.engines.recently_used import RecentlyUsed


class Code:
    """Of a slice."""

    def __init__(self, size: int = 1) -> None:
        self.size = size


def test_what_is_kept_is_not_made_again() -> None:
    kept = RecentlyUsed[str, Code](2)
    first = kept.get("first", Code)
    kept.get("second", Code)
    assert kept.get("first", Code) is first


def test_what_was_used_longest_ago_goes_and_is_let_go_of() -> None:
    kept = RecentlyUsed[str, Code](2)
    first, second = (weakref.ref(kept.get(name, Code)) for name in ("first", "second"))
    kept.get("first", Code)
    kept.get("third", Code)
    assert (first() is None, second() is None, kept.size) == (False, True, 2)


def test_what_goes_stays_with_who_uses_it_and_is_made_anew_for_others() -> None:
    kept = RecentlyUsed[str, Code](1)
    first = kept.get("first", Code)
    kept.get("second", Code)
    assert kept.get("first", Code) is not first


def test_the_bound_is_on_sizes_where_they_are_told_and_the_last_one_stays_however_large() -> None:
    kept = RecentlyUsed[str, Code](10, lambda code: code.size)
    for name, size in (("first", 4), ("second", 6), ("third", 1)):
        kept.get(name, lambda size=size: Code(size))  # type: ignore[misc]
    assert kept.size == 7
    kept.get("large", lambda: Code(99))
    assert kept.size == 99


def test_it_is_known_how_often_something_had_to_go() -> None:
    kept = RecentlyUsed[str, Code](2)
    for name in ("first", "second", "third", "first", "second"):
        kept.get(name, Code)
    assert [kept.gone(name) for name in ("first", "second", "third")] == [1, 1, 1]
    kept.get("third", Code)
    assert [kept.gone(name) for name in ("first", "second", "third")] == [2, 1, 1]


def test_only_so_many_of_those_that_went_are_remembered_and_none_is_held() -> None:
    kept = RecentlyUsed[Code, int](1)
    codes = [Code() for _ in range(1100)]
    for code in codes:
        kept.get(code, lambda: 0)
    assert kept.gone(codes[1098])
    assert not kept.gone(codes[0])
    gone = weakref.ref(codes[1000])
    del code, codes
    assert gone() is None


def test_what_is_there_is_found_without_making_anything() -> None:
    kept = RecentlyUsed[str, Code](2)
    first = kept.get("first", Code)
    kept.get("second", Code)
    assert (kept.find("first"), kept.find("nobody")) == (first, None)
    kept.get("third", Code)
    assert kept.find("first") is first  # to find it is to use it
    assert kept.find("second") is None
