"""The fewest sets that cover every element: exact by iterative deepening, with a cap on the steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Cover", "smallest_cover"]

_MOST_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Cover:
    """The chosen sets by number, and whether fewer are proven not to do."""

    chosen: frozenset[int]
    is_fewest: bool


def smallest_cover(owners: Iterable[frozenset[int]], always: frozenset[int] = frozenset()) -> Cover:
    """The smallest choice of sets, `always` included, that holds an owner of every element; the first found of equals.

    owners: for each element the sets that cover it, one at least. Exact while the search ends within 100,000 steps
    (some dozens of sets); the greedy cover (Chvatal 1979) after that.
    """
    open_elements = _minimal([own for own in owners if own.isdisjoint(always)])
    greedy = _greedy(open_elements)
    search = _Search(_MOST_STEPS)
    for size in range(len(greedy)):
        chosen = search.within(size, open_elements)
        if chosen is not None:
            return Cover(always | chosen, True)
        if search.steps_left <= 0:
            return Cover(always | greedy, False)
    return Cover(always | greedy, True)


def _minimal(elements: list[frozenset[int]]) -> list[frozenset[int]]:
    """Without elements that are covered wherever another one is."""
    kept: list[frozenset[int]] = []
    for own in sorted(set(elements), key=lambda own: (len(own), sorted(own))):
        if not any(other <= own for other in kept):
            kept.append(own)
    return kept


def _greedy(elements: Sequence[frozenset[int]]) -> frozenset[int]:
    chosen: set[int] = set()
    rest = list(elements)
    while rest:
        counts: dict[int, int] = {}
        for own in rest:
            for number in own:
                counts[number] = counts.get(number, 0) + 1
        chosen.add(min(counts, key=lambda number: (-counts[number], number)))
        rest = [own for own in rest if own.isdisjoint(chosen)]
    return frozenset(chosen)


class _Search:
    def __init__(self, steps: int) -> None:
        self.steps_left = steps

    def within(self, size: int, elements: Sequence[frozenset[int]]) -> frozenset[int] | None:
        """A cover of `elements` with at most `size` sets; branches on the element with the fewest owners."""
        if not elements:
            return frozenset()
        if size == 0 or self.steps_left <= 0:
            return None
        self.steps_left -= 1
        hardest = min(elements, key=len)
        for number in sorted(hardest):
            rest = self.within(size - 1, [own for own in elements if number not in own])
            if rest is not None:
                return rest | {number}
        return None
