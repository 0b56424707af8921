"""Which kind of fleet is the cheapest: what trying all of them finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulations.capacity.cheapest import Fewest, Kind, cheapest

KINDS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 20), st.integers(0, 200), st.integers(1, 30)), min_size=1, max_size=5
)


@given(facts=KINDS, least=st.integers(1, 10), more=st.integers(0, 25))
def test_the_cheapest_is_what_trying_all_finds(facts: list[tuple[int, int, int, int]], least: int, more: int) -> None:
    most = least + more
    asked: list[tuple[int, int]] = []

    def kind(number: int, needed: int, each: int, fixed: int, guess: int) -> Kind[int]:
        def holds(replicas: int) -> bool:
            asked.append((number, replicas))
            return replicas >= needed

        return Kind(number, lambda replicas: float(fixed + each * replicas), holds, guess)

    found = cheapest([kind(number, *one) for number, one in enumerate(facts)], least, most)
    prices = [
        (float(fixed + each * replicas), number, replicas)
        for number, (needed, each, fixed, _) in enumerate(facts)
        for replicas in range(least, most + 1)
        if replicas >= needed
    ]
    if not prices:
        assert found is None
        return
    assert found is not None
    assert found.price == min(prices)[0]
    assert (found.price, found.of, found.replicas) in prices
    assert len(asked) == len(set(asked))


def test_what_cannot_be_cheaper_is_not_simulated() -> None:
    dear_asked = list[int]()

    def dear_holds(replicas: int) -> bool:
        dear_asked.append(replicas)
        return True

    found = cheapest([Kind("cheap", float, lambda n: n >= 4, 4), Kind("dear", lambda n: 10.0 * n, dear_holds, 1)], 1, 9)
    assert found is not None
    assert (found.of, found.replicas, found.fewest) == (
        "cheap",
        4,
        (Fewest("cheap", 4), Fewest("dear", None, cheaper_only=True)),
    )
    assert dear_asked == []


def test_a_kind_of_which_none_holds_is_told_from_one_of_which_none_is_cheaper() -> None:
    found = cheapest(
        [Kind("weak", float, lambda n: False, 1), Kind("good", lambda n: 5.0 * n, lambda n: n >= 2, 2)], 1, 9
    )
    assert found is not None
    assert found.fewest == (Fewest("weak", None), Fewest("good", 2))
