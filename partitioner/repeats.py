"""Blocks that follow each other unchanged in a sequence: what a long model is folded by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Repeat", "repeats_in"]

_LONGEST_PERIOD = 256


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` blocks of `period` items each, the first beginning at `start`."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The position after the last block."""
        return self.start + self.period * self.count


def repeats_in(tokens: Sequence[str], fewest: int, width: Callable[[int], int]) -> tuple[Repeat, ...]:
    """Disjoint repeats in order, the longest taken first: two blocks and `fewest` items at least, of 256 items at most.

    width: how well a block may begin at a position (the least is taken) where several positions give as many blocks.
    Takes O(n * 256) steps for each repeat that it finds.
    """
    found: list[Repeat] = []
    spans = [(0, len(tokens))]
    while spans:
        start, stop = spans.pop()
        best = _longest(tokens, (start, stop), fewest, width)
        if best is not None:
            found.append(best)
            spans += [(start, best.start), (best.stop, stop)]
    return tuple(sorted(found, key=lambda repeat: repeat.start))


def _longest(tokens: Sequence[str], span: tuple[int, int], fewest: int, width: Callable[[int], int]) -> Repeat | None:
    """The repeat within the span that covers most; of equals the one of the shortest block."""
    start, stop = span
    best: Repeat | None = None
    for period in range(1, min(_LONGEST_PERIOD, (stop - start) // 2) + 1):
        run, at = _longest_run(tokens, start, stop, period)
        count = run // period + 1
        covered = count * period
        if count < 2 or covered < fewest or (best is not None and covered <= best.count * best.period):
            continue
        # The run may be longer than whole blocks: the blocks may begin at any position of the rest.
        phases = range(at, at + run - (count - 1) * period + 1)
        best = Repeat(min(phases, key=lambda i: (width(i), i)), period, count)
    return best


def _longest_run(tokens: Sequence[str], start: int, stop: int, period: int) -> tuple[int, int]:
    """How many items in a row equal the one a period later, and where the longest such row begins."""
    longest, at, length = 0, start, 0
    for i in range(start, stop - period):
        length = length + 1 if tokens[i] == tokens[i + period] else 0
        if length > longest:
            longest, at = length, i - length + 1
    return longest, at
