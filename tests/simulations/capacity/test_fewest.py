"""The least number of which something holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulations.capacity.fewest import fewest


@given(least=st.integers(1, 20), more=st.integers(0, 60), threshold=st.integers(1, 100), guess=st.integers(-5, 120))
def test_a_monotone_search_finds_what_trying_all_finds(least: int, more: int, threshold: int, guess: int) -> None:
    most, asked = least + more, list[int]()

    def holds(n: int) -> bool:
        asked.append(n)
        return n >= threshold

    found = fewest(holds, least, most, guess)
    assert found == next((n for n in range(least, most + 1) if n >= threshold), None)
    assert len(asked) == len(set(asked))
    assert all(least <= n <= most for n in asked)


def test_a_good_guess_asks_twice() -> None:
    asked = list[int]()

    def holds(n: int) -> bool:
        asked.append(n)
        return n >= 40

    assert fewest(holds, 1, 1000, 40) == 40
    assert asked == [40, 39]
